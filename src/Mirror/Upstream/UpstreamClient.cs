using System.Net;
using System.Net.Http.Headers;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Telemetry;
using static Mirror.Upstream.UpstreamAnswers;

namespace Mirror.Upstream;

/// <summary>
/// Reads from another registry. Each method returns content or throws one of the four answers that are not content:
/// <see cref="UpstreamRefusedException"/>, <see cref="UpstreamDeniedException"/>, <see cref="UpstreamLimitedException"/>,
/// <see cref="UpstreamUnavailableException"/>.
/// </summary>
public sealed partial class UpstreamClient(
    UpstreamOrigin origin, Accounts accounts, Refusals refusals, UpstreamState state, HttpClient http, UpstreamMetrics metrics,
    TimeProvider time, ILogger<UpstreamClient> log)
{
    // Many registries put 100 tags on a page. 1000 such pages have about as many bytes as a list may have.
    private const int MaxPages = 1000;

    public UpstreamOrigin Origin => origin;

    /// <summary>The accounts that requests are sent with.</summary>
    public Accounts Accounts => accounts;

    /// <summary>Whether this upstream answers.</summary>
    public UpstreamState State => state;

    /// <inheritdoc cref="Accounts.AreNearlySpent"/>
    public bool IsNearlySpent => accounts.AreNearlySpent;

    /// <inheritdoc cref="Accounts.HavePlenty"/>
    public bool HasPlenty => accounts.HavePlenty;

    /// <inheritdoc cref="Refusals.Remember"/>
    public void Remember(UpstreamException refusal, TimeSpan life) => refusals.Remember(refusal, life);

    /// <summary>
    /// The manifest that a reference names now, by HEAD. Docker Hub does not count this as a pull. Null if the answer lacks the length, the
    /// digest or the type of a manifest, or may tell the length of a compressed body: then only a GET can tell.
    /// </summary>
    public async Task<Descriptor?> HeadManifestAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Head, UpstreamKind.Manifest, name, $"manifests/{reference}", cancellationToken);
        if (MayDifferForGet(response))
            return null;
        Require(response, name, $"manifests/{reference}");
        var headers = response.Content.Headers;
        var type = headers.ContentType?.MediaType;
        return Described(response, reference) is { } digest && IsManifestType(type) && headers.ContentEncoding.All(IsIdentity)
            && headers.ContentLength is > 0 and <= Manifest.MaxBytes and var size
            ? new Descriptor(type, digest, size)
            : null;
    }

    /// <summary>
    /// Downloads a manifest. Its bytes match the digest that the reference names, or for a tag the one that upstream sends, if any.
    /// </summary>
    public async Task<Manifest> GetManifestAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, UpstreamKind.Manifest, name, $"manifests/{reference}", cancellationToken);
        Require(response, name, $"manifests/{reference}");
        var bytes = await UpstreamRequest.ReadBodyAsync(response, Manifest.MaxBytes, origin, cancellationToken);
        metrics.Received(origin.Label, UpstreamKind.Manifest, bytes.Length);
        var expected = reference.IsTag(out _, out var wanted) ? Described(response, reference) : wanted;
        var digest = Digest.Of(bytes, expected?.Algorithm ?? "sha256");
        // The digest of schema 1 is that of its payload.
        if (expected is { } own && digest != own && Schema1Manifests.PayloadWith(own, bytes) is not null)
            return new Manifest(new Descriptor(MediaTypes.DockerSignedSchema1, own, bytes.Length), bytes);
        if (expected is not null && digest != expected)
            throw new UpstreamUnavailableException($"{origin.Authority} sent bytes for {name} that do not match the digest {expected}.");
        // An error page with status 200 is not a manifest, whatever its Content-Type says.
        var type = ManifestDocument.Read(bytes)?.Type
            ?? throw new UpstreamUnavailableException($"{origin.Authority} sent a body for {name} that is not a manifest.");
        var header = response.Content.Headers.ContentType?.MediaType;
        return new Manifest(new Descriptor(IsManifestType(header) ? header : type, digest, bytes.Length), bytes);
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
            if (IsContent(head, expected) && Believable(head.Content.Headers.ContentLength, digest) is { } length
                && (expected ?? length) == length)
                return length;
            if (!head.IsSuccessStatusCode && !MayDifferForGet(head))
                Require(head, name, $"blobs/{digest}");
        }
        // Some registries refuse HEAD or answer it wrongly, and some redirect it to a URL that is signed for GET: ask for one byte. The
        // blob without a byte has no range, and some upstreams refuse every range: then the headers of the whole blob tell its length.
        using var first = await SendAsync(
            HttpMethod.Get, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken, new RangeHeaderValue(0, 0));
        using var whole = MayDifferForWhole(first, 0)
            ? await SendAsync(HttpMethod.Get, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken)
            : null;
        var response = whole ?? first;
        Require(response, name, $"blobs/{digest}");
        return IsContent(response, expected) ? Believable(LengthOf(response), digest)
            : throw new UpstreamUnavailableException(
                $"{Sender(response)} answered {(int)response.StatusCode} to {name}/blobs/{digest}, with something else than the blob.");
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
            // An error that may have another reason, such as an address that has expired, does not decide alone.
            if (range is not null && end is null && MayDifferForWhole(response, from) && !RefusesRanges(response))
            {
                response.Dispose();
                response = await SendAsync(HttpMethod.Get, UpstreamKind.Blob, name, $"blobs/{digest}", cancellationToken, range);
            }
            // Some upstreams and CDNs cannot send a part of a blob. They can send all of it.
            if (range is not null && MayDifferForWhole(response, from))
            {
                response.Dispose();
                return end is null ? await GetBlobAsync(name, digest, 0, null, cancellationToken)
                    : throw new UpstreamUnavailableException($"{Sender(response)} does not send the requested range of {digest}.")
                    {
                        IsRangeIgnored = true,
                    };
            }
            Require(response, name, $"blobs/{digest}");
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
    public async Task<string[]> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        var tags = new HashSet<string>();
        foreach (var page in await GetPagesAsync(UpstreamKind.Tags, name, "tags/list", cancellationToken))
            tags.UnionWith((UpstreamRequest.Parse(page, UpstreamJson.Default.TagsBody, origin).Tags ?? []).Where(Reference.IsTagName));
        var sorted = tags.ToArray();
        Array.Sort(sorted, StringComparer.Ordinal);
        return sorted;
    }

    /// <summary>
    /// The pages of the index of the manifests that refer to <paramref name="subject"/>, as JSON. None if upstream lacks the referrers API
    /// or the repository: registries answer both alike.
    /// </summary>
    public Task<IReadOnlyList<byte[]>> GetReferrersAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken) =>
        GetPagesAsync(UpstreamKind.Referrers, name, $"referrers/{subject}", cancellationToken);

    // Use the address in upstream's Link header as it is: each registry builds this address in its own way.
    private async Task<IReadOnlyList<byte[]>> GetPagesAsync(
        UpstreamKind kind, RepositoryName name, string what, CancellationToken cancellationToken)
    {
        List<byte[]> pages = [];
        HashSet<string> asked = [];
        var bytes = 0L;
        for (Uri? next = Url(name, what); next is not null;)
        {
            if (!asked.Add(next.AbsoluteUri))
            {
                LogLoop(origin.Authority, name.ToString(), what, pages.Count);
                return pages;
            }
            using var response = await SendAsync(HttpMethod.Get, kind, name, what, cancellationToken, page: next);
            var status = (int)response.StatusCode;
            if (kind is UpstreamKind.Referrers && pages.Count == 0 && LacksReferrers(response))
                return pages;
            if (pages.Count > 0 && status is 404 or 410)
                throw new UpstreamUnavailableException($"{origin.Authority} lacks page {pages.Count + 1} of {name}/{what}.");
            Require(response, name, what);
            var page = await UpstreamRequest.ReadBodyAsync(response, UpstreamRequest.MaxJson, origin, cancellationToken);
            pages.Add(page);
            bytes += page.Length;
            next = NextPage.Of(response);
            if (bytes > UpstreamRequest.MaxJson || pages.Count == MaxPages && next is not null)
                throw new UpstreamUnavailableException(
                    $"{origin.Authority} has more of {name}/{what} than {MaxPages} pages or {UpstreamRequest.MaxJson} bytes.");
        }
        return pages;
    }

    private Uri Url(RepositoryName name, string what) => new(origin.BaseAddress, $"v2/{origin.RemoteName(name)}/{what}");

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, UpstreamKind kind, RepositoryName name, string path, CancellationToken cancellationToken,
        RangeHeaderValue? range = null, Uri? page = null)
    {
        var isPull = kind is UpstreamKind.Manifest && method == HttpMethod.Get;
        var acting = ActingClient.For(origin, name);
        while (true)
        {
            var account = acting?.Account ?? accounts.Choose(isPull);
            var key = new UpstreamRequestKey(account, name, path);
            refusals.ThrowIfKnown(key);
            var request = new HttpRequestMessage(method, page ?? Url(name, path));
            request.Options.Set(UpstreamRequest.Kind, kind);
            request.Options.Set(UpstreamRequest.Key, key);
            // The next page of a list may be on the host that upstream redirected to, which gets no credentials.
            if (origin.IsSameOrigin(request.RequestUri!))
            {
                request.Options.Set(UpstreamRequest.Account, account);
                request.Options.Set(UpstreamRequest.Scope, $"repository:{origin.RemoteName(name)}:pull");
            }
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
            request.Headers.Range = range;
            if (kind is UpstreamKind.Manifest)
                UpstreamRequest.AcceptEveryManifest(request.Headers);
            HttpResponseMessage response;
            try
            {
                response = await UpstreamRequest.SendAsync(http, request, origin.Authority, cancellationToken);
            }
            catch (UpstreamException refused) when (acting is not null && ActingClient.IsRefusal(refused))
            {
                throw acting.Refusal(kind, refused.Message);
            }
            catch (UpstreamDeniedException denied)
            {
                // The token service refused access to this repository. Several requests may have waited for one token and have got the same
                // exception, so throw one that names this request.
                throw new UpstreamDeniedException(denied.Message, denied.HasAccount) { RequestKey = key };
            }
            catch (UpstreamUnavailableException failure) when (failure.IsLoginRefused)
            {
                var others = accounts.TryPauseRefused(account);
                state.LoginRefused(account, isLast: !others, isSure: true);
                if (others)
                    continue;
                throw;
            }
            catch (UpstreamLimitedException limited) when (acting is null)
            {
                // The token service's limit holds for the account, like the registry's.
                state.Limited(account, accounts.Pause(account, limited.RetryAfter, pullsOnly: false, toldLimit: false));
                continue;
            }
            if (acting is not null)
            {
                var isRefused = response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden;
                if (!isRefused || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
                    return response;
                response.Dispose();
                throw acting.Refusal(kind, $"{origin.Authority} refuses the client's login access to {name}.");
            }
            if (accounts.HaveCredentials)
                ReportLogin(account, response);
            if (response.StatusCode != HttpStatusCode.TooManyRequests || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            {
                account.Answered();
                return response;
            }
            // Try another account. If all are paused, Choose throws.
            var toldLimit = response.Headers.Contains("ratelimit-remaining");
            using (response)
                state.Limited(account, accounts.Pause(account, UpstreamRequest.RetryAfter(response, time), isPull, toldLimit));
        }
    }

    // If upstream has a token service, the service has accepted or refused the login already. Without one, the registry's own answer shows
    // whether the login is correct.
    private void ReportLogin(Account account, HttpResponseMessage response)
    {
        if (response.IsSuccessStatusCode)
            state.LoginWorked(account);
        else if (response.StatusCode == HttpStatusCode.Unauthorized
            && response.RequestMessage is { Headers.Authorization.Scheme: "Basic" } request && origin.IsSameOrigin(request.RequestUri!))
            state.LoginRefused(account, isLast: true, isSure: false);
    }

    private void Require(HttpResponseMessage response, RepositoryName name, string what)
    {
        if (response.IsSuccessStatusCode)
            return;
        response.RequestMessage!.Options.TryGetValue(UpstreamRequest.Key, out var key);
        throw ((int)response.StatusCode, origin.IsSameOrigin(response.RequestMessage.RequestUri!)) switch
        {
            (404 or 410, var itself) when itself || IsRegistryError(response, what) =>
                new UpstreamRefusedException($"{origin.Authority} has no {name}/{what}.") { RequestKey = key },
            (401 or 403, true) => new UpstreamDeniedException(
                $"{origin.Authority} refuses this mirror access to {name}/{what}; check the account in section proxy.",
                accounts.HaveCredentials)
            {
                RequestKey = key,
            },
            (429, _) => new UpstreamLimitedException($"{Sender(response)} answered 429.", UpstreamRequest.RetryAfter(response, time)),
            var (status, _) => new UpstreamUnavailableException($"{Sender(response)} answered {status} to {name}/{what}."),
        };
    }

    // The upstream, or the host that it redirected to.
    private static string Sender(HttpResponseMessage response) => response.RequestMessage!.RequestUri!.Authority;

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the Link of a page of {Name}/{List} at {Upstream} names an earlier page: the {Pages} pages before it count as the whole list")]
    private partial void LogLoop(string upstream, string name, string list, int pages);
}
