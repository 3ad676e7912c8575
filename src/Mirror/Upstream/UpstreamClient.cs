using System.Net;
using System.Net.Http.Headers;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Telemetry;
using static Mirror.Upstream.UpstreamAnswers;

namespace Mirror.Upstream;

/// <summary>
/// Reads from another registry. Each method returns what upstream answered, or throws one of the four answers that are not content:
/// <see cref="UpstreamMissingException"/>, <see cref="UpstreamDeniedException"/>, <see cref="UpstreamLimitedException"/>,
/// <see cref="UpstreamUnavailableException"/>. If upstream refuses the login of an <see cref="ActingClient"/>, a method that does not read
/// a blob throws <see cref="ClientRefusedException"/>. A method whose answer may lack a value, such as a length, returns null for it.
/// </summary>
public sealed partial class UpstreamClient(
    UpstreamOrigin origin, Accounts accounts, Refusals refusals, UpstreamState state, HttpClient http, RegistryCheck check,
    UpstreamMetrics metrics, TimeProvider time, ILogger<UpstreamClient> log)
{
    // Many registries put 100 tags on a page. 1000 such pages of long tags have about UpstreamRequest.MaxJson bytes.
    private const int MaxPages = 1000;

    public UpstreamOrigin Origin => origin;

    /// <summary>The accounts that requests are sent with.</summary>
    public Accounts Accounts => accounts;

    /// <summary>Whether this upstream answers.</summary>
    public UpstreamState State => state;

    /// <summary>Why an answer with <see cref="UpstreamAnswer{T}.IsStale"/> is served as stale, for the log.</summary>
    public string WhyStale => $"{origin.Authority} is a mirror itself, and could not ask its own upstream.";

    /// <inheritdoc cref="Accounts.HaveFewPullsLeft"/>
    public bool HasFewPullsLeft => accounts.HaveFewPullsLeft;

    /// <inheritdoc cref="Accounts.HaveManyPullsLeft"/>
    public bool HasManyPullsLeft => accounts.HaveManyPullsLeft;

    /// <inheritdoc cref="Refusals.Remember"/>
    public void Remember(UpstreamException refusal, TimeSpan life) => refusals.Remember(refusal, life);

    /// <summary>
    /// The manifest that a reference names now, by HEAD. Docker Hub does not count this as a pull. Null if the answer lacks the length, the
    /// digest or the type of a manifest, or may tell the length of a compressed body: then only a GET can tell.
    /// </summary>
    public async Task<UpstreamAnswer<Descriptor>?> HeadManifestAsync(
        RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Head, UpstreamKind.Manifest, name, $"manifests/{reference}", cancellationToken);
        if (MustRetryAsGet(response))
            return null;
        await RequireAsync(response, name, $"manifests/{reference}", cancellationToken);
        var headers = response.Content.Headers;
        var type = TypeOf(response);
        if (DigestIn(response, reference) is not { } digest || !IsManifestType(type) || !headers.ContentEncoding.All(IsIdentity)
            || headers.ContentLength is not (> 0 and <= Manifest.MaxBytes and var size))
            return null;
        await check.NoteManifestAsync(cancellationToken);
        return new(new Descriptor(type, digest, size), IsStale(response));
    }

    /// <summary>
    /// Downloads a manifest. Its bytes match the digest that the reference names, or for a tag the one that upstream sends, if any.
    /// </summary>
    public async Task<UpstreamAnswer<Manifest>> GetManifestAsync(
        RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, UpstreamKind.Manifest, name, $"manifests/{reference}", cancellationToken);
        await RequireAsync(response, name, $"manifests/{reference}", cancellationToken);
        var expected = reference.IsTag(out _, out var wanted) ? DigestIn(response, reference) : wanted;
        var bytes = await UpstreamRequest.ReadBodyAsync(response, Manifest.MaxBytes, origin, cancellationToken, expected);
        metrics.Received(origin.Label, UpstreamKind.Manifest, bytes.Length);
        var digest = Digest.Of(bytes, expected?.Algorithm ?? "sha256");
        // The digest of schema 1 is that of its payload.
        if (expected is { } own && digest != own && Schema1Manifests.PayloadWith(own, bytes) is not null)
            return new(new Manifest(new Descriptor(MediaTypes.DockerSignedSchema1, own, bytes.Length), bytes), IsStale(response));
        if (expected is not null && digest != expected)
            throw new UpstreamUnavailableException($"{origin.Authority} sent bytes for {name} that do not match the digest {expected}.");
        // An error page with status 200 is not a manifest, whatever its Content-Type says.
        if (ManifestDocument.Read(bytes)?.Type is not { } type)
        {
            await check.SuspectAsync(cancellationToken);
            throw new UpstreamUnavailableException($"{origin.Authority} sent a body for {name} that is not a manifest.");
        }
        await check.NoteManifestAsync(cancellationToken);
        var header = TypeOf(response);
        return new(
            new Manifest(new Descriptor(IsManifestType(header) ? header : type, digest, bytes.Length), bytes), IsStale(response));
    }

    /// <summary>Counts received bytes of a blob.</summary>
    internal void Received(int bytes) => metrics.Received(origin.Label, UpstreamKind.Blob, bytes);

    /// <summary>A blob's length in bytes, by HEAD; null if upstream does not say.</summary>
    /// <param name="expected">The length that a manifest or the stored blob has; null if it is not known. If the HEAD says otherwise, a GET
    /// of one byte decides.</param>
    public async Task<long?> HeadBlobAsync(RepositoryName name, Digest digest, long? expected, CancellationToken cancellationToken)
    {
        using (var head = await SendAsync(HttpMethod.Head, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken))
        {
            if (IsContent(head, expected) && PlausibleLength(head.Content.Headers.ContentLength, digest) is { } length
                && (expected ?? length) == length)
                return length;
            if (!head.IsSuccessStatusCode && !MustRetryAsGet(head))
                await RequireAsync(head, name, $"blobs/{digest}", cancellationToken);
        }
        // Some registries refuse HEAD or answer it wrongly, and some redirect it to a pre-signed GET URL: ask for one byte. The
        // empty blob has no range, and some upstreams refuse every range: then the headers of the whole blob tell its length.
        using var first = await SendAsync(
            HttpMethod.Get, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken, new RangeHeaderValue(0, 0));
        using var whole = MustRetryWithoutRange(first, 0)
            ? await SendAsync(HttpMethod.Get, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken)
            : null;
        var response = whole ?? first;
        await RequireAsync(response, name, $"blobs/{digest}", cancellationToken);
        var other = $"{Sender(response)} answered {(int)response.StatusCode} to {name}/blobs/{digest}, with something else than the blob.";
        return IsContent(response, expected) ? PlausibleLength(LengthOf(response), digest)
            : throw new UpstreamUnavailableException(other)
            {
                IsWebPage = IsWebPage(response),
                PageLength = IsWebPage(response) ? LengthOf(response) : null,
            };
    }

    /// <summary>Opens a blob's body at an offset. If upstream ignores Range, the body begins at 0.</summary>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    public async Task<UpstreamBody> GetBlobAsync(
        RepositoryName name, Digest digest, long from, long? end, CancellationToken cancellationToken)
    {
        var range = from == 0 && end is null ? null : new RangeHeaderValue(from, end - 1);
        var response = await SendAsync(HttpMethod.Get, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken, range);
        try
        {
            // Retry the range once if the error may have another reason, such as a signed address that has expired.
            if (range is not null && end is null && MustRetryWithoutRange(response, from) && !RefusesRanges(response))
            {
                response.Dispose();
                response = await SendAsync(HttpMethod.Get, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken, range);
            }
            // Some upstreams and CDNs cannot send a part of a blob. They can send all of it.
            if (range is not null && MustRetryWithoutRange(response, from))
            {
                response.Dispose();
                return end is null ? await GetBlobAsync(name, digest, 0, null, cancellationToken)
                    : throw new UpstreamUnavailableException($"{Sender(response)} does not send the requested range of {digest}.")
                    {
                        IsRangeIgnored = true,
                    };
            }
            await RequireAsync(response, name, $"blobs/{digest}", cancellationToken);
            var headers = response.Content.Headers;
            // Labels such as Content-Encoding do not decide: bytes that have the digest are the blob.
            var (start, length) = response.StatusCode == HttpStatusCode.PartialContent
                ? (headers.ContentRange?.From ?? -1, headers.ContentRange?.Length)
                : (0, headers.ContentLength);
            if (start != from && start != 0)
                throw new UpstreamUnavailableException($"{Sender(response)} sent another range of {digest} than the requested one.");
            return new UpstreamBody(response, await response.Content.ReadAsStreamAsync(cancellationToken), start, length)
            {
                // Proxies and captive portals send error pages with status 200.
                IsWebPage = IsWebPage(response),
            };
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>All tags, sorted. If a page is missing, this method throws: a part of the list would hide tags.</summary>
    /// <param name="received">Gets the number of pages that have come, after each page.</param>
    public async Task<UpstreamAnswer<string[]>> ListTagsAsync(
        RepositoryName name, Action<int> received, CancellationToken cancellationToken)
    {
        var tags = new HashSet<string>();
        var (pages, isStale) = await GetPagesAsync(UpstreamKind.Tags, name, "tags/list", cancellationToken, received);
        foreach (var page in pages)
            tags.UnionWith(UpstreamRequest.Parse(page, UpstreamJson.Default.TagsBody, origin) is { IsList: true } list
                ? (list.Tags ?? []).Where(Reference.IsTagName)
                : throw UpstreamRequest.OtherJson(origin));
        var sorted = tags.ToArray();
        Array.Sort(sorted, StringComparer.Ordinal);
        return new(sorted, isStale);
    }

    /// <summary>
    /// The pages of the index of the manifests that refer to <paramref name="subject"/>, as JSON. None if upstream lacks the referrers API
    /// or the repository: registries answer both alike. The one page may be a JSON object without a list, such as an error with status 200
    /// (<see cref="HasNoList"/>).
    /// </summary>
    public Task<UpstreamAnswer<IReadOnlyList<byte[]>>> GetReferrersAsync(
        RepositoryName name, Digest subject, CancellationToken cancellationToken) =>
        GetPagesAsync(UpstreamKind.Referrers, name, $"referrers/{subject}", cancellationToken);

    // Use the address in upstream's Link header as it is: each registry builds this address in its own way.
    private async Task<UpstreamAnswer<IReadOnlyList<byte[]>>> GetPagesAsync(
        UpstreamKind kind, RepositoryName name, string what, CancellationToken cancellationToken, Action<int>? received = null)
    {
        List<byte[]> pages = [];
        HashSet<string> asked = [];
        var (bytes, isStale) = (0L, false);
        for (Uri? next = Url(name, what); next is not null;)
        {
            if (!asked.Add(next.AbsoluteUri))
            {
                LogLoop(origin.Authority, name.ToString(), what, pages.Count);
                return new(pages, isStale);
            }
            using var response = await SendAsync(HttpMethod.Get, kind, name, what, cancellationToken, page: next);
            if (kind is UpstreamKind.Referrers && pages.Count == 0 && LacksReferrers(response))
                return new(pages, isStale);
            if (pages.Count > 0 && IsMissing(response))
                throw new UpstreamUnavailableException($"{origin.Authority} lacks page {pages.Count + 1} of {name}/{what}.");
            await RequireAsync(response, name, what, cancellationToken);
            var page = await UpstreamRequest.ReadBodyAsync(response, UpstreamRequest.MaxJson, origin, cancellationToken);
            if (kind is UpstreamKind.Referrers && pages.Count == 0 && HasNoList(page))
                return new(IsBlank(page) ? [] : [page], isStale);
            pages.Add(page);
            received?.Invoke(pages.Count);
            isStale |= IsStale(response);
            bytes += page.Length;
            next = NextPage.Of(response);
            if (bytes > UpstreamRequest.MaxJson || pages.Count == MaxPages && next is not null)
                throw new UpstreamUnavailableException(
                    $"{origin.Authority} has more of {name}/{what} than {MaxPages} pages or {UpstreamRequest.MaxJson} bytes.");
        }
        return new(pages, isStale);
    }

    private bool IsStale(HttpResponseMessage response) =>
        SaysStale(response) && origin.IsSameOrigin(response.RequestMessage!.RequestUri!);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the Link of a page of {Name}/{List} at {Upstream} names an earlier page: the {Pages} pages before it count as the whole list")]
    private partial void LogLoop(string upstream, string name, string list, int pages);
}
