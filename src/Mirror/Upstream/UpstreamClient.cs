using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// Another registry, asked for reading. Each method gives content or throws one of the three answers: <see cref="UpstreamRefusedException"/>,
/// <see cref="UpstreamLimitedException"/>, <see cref="UpstreamUnavailableException"/>.
/// </summary>
public sealed class UpstreamClient(UpstreamOrigin origin, Accounts accounts, HttpClient http, RegistryMetrics metrics, TimeProvider time)
{
    public UpstreamOrigin Origin => origin;

    /// <summary>Whether so little of every account's limit is left that work nobody waits for should not be done.</summary>
    public bool IsNearlySpent => accounts.AreNearlySpent;

    /// <summary>
    /// What a reference names now, without its bytes: free of charge on Docker Hub. Null where upstream's answer lacks length, digest or a
    /// manifest's type, so that only a GET can tell.
    /// </summary>
    public async Task<Descriptor?> HeadManifestAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        using var response = await AskAsync(HttpMethod.Head, name, $"manifests/{reference}", UpstreamKind.Manifest, null, cancellationToken);
        if (response.StatusCode == HttpStatusCode.MethodNotAllowed)
            return null;
        Require(response, name, $"manifests/{reference}");
        return Described(response, reference) is { } digest && response.Content.Headers is { ContentLength: > 0 and <= Manifest.MaxBytes and var size, ContentType.MediaType: { } type }
            && IsManifestType(type)
            ? new Descriptor(type, digest, size)
            : null;
    }

    /// <summary>A manifest, its bytes hashed: by digest they are the digest's, by tag the digest is computed from them.</summary>
    public async Task<Manifest> GetManifestAsync(RepositoryName name, Reference reference, CancellationToken cancellationToken)
    {
        using var response = await AskAsync(HttpMethod.Get, name, $"manifests/{reference}", UpstreamKind.Manifest, null, cancellationToken);
        Require(response, name, $"manifests/{reference}");
        var bytes = await UpstreamRequest.ReadBodyAsync(response, Manifest.MaxBytes, origin, cancellationToken);
        metrics.RecordUpstreamBytes(UpstreamKind.Manifest, bytes.Length);
        var expected = reference.IsTag(out _, out var named) ? Described(response, reference) : named;
        var digest = Digest.Of(bytes, expected?.Algorithm ?? "sha256");
        if (expected is not null && digest != expected)
            throw new UpstreamUnavailableException($"{origin.Authority} sent other bytes for {name} than {expected} names.");
        // An error page with status 200 is no manifest, whatever its type claims.
        var type = ManifestDocument.Read(bytes)?.Type
            ?? throw new UpstreamUnavailableException($"{origin.Authority} sent something for {name} that is not a manifest.");
        if (response.Content.Headers.ContentType?.MediaType is { } said && IsManifestType(said))
            type = said;
        return new Manifest(new Descriptor(type, digest, bytes.Length), bytes);
    }

    /// <summary>Counts bytes of a blob as they come.</summary>
    internal void Received(int bytes) => metrics.RecordUpstreamBytes(UpstreamKind.Blob, bytes);

    /// <summary>A blob's length in bytes, without its bytes; null where upstream does not say.</summary>
    public async Task<long?> HeadBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        using var response = await AskAsync(HttpMethod.Head, name, $"blobs/{digest}", UpstreamKind.Blob, null, cancellationToken);
        Require(response, name, $"blobs/{digest}");
        return response.Content.Headers.ContentLength;
    }

    /// <summary>A blob's body from an offset on; it may begin earlier where Range is ignored.</summary>
    /// <param name="end">The byte behind the last one wanted; null for all.</param>
    public async Task<UpstreamBody> GetBlobAsync(RepositoryName name, Digest digest, long from, long? end, CancellationToken cancellationToken)
    {
        var range = from == 0 && end is null ? null : new RangeHeaderValue(from, end - 1);
        var response = await AskAsync(HttpMethod.Get, name, $"blobs/{digest}", UpstreamKind.Blob, range, cancellationToken);
        try
        {
            Require(response, name, $"blobs/{digest}");
            var headers = response.Content.Headers;
            // An error page with status 200, as proxies and portals send it.
            if (headers.ContentType?.MediaType is "text/html")
                throw new UpstreamUnavailableException($"{response.RequestMessage!.RequestUri!.Authority} sent a page for people where {digest} was asked for.");
            // Identity was asked for; a body in another coding would be spooled as if it were the blob.
            if (headers.ContentEncoding.Count > 0)
                throw new UpstreamUnavailableException($"{origin.Authority} sent {digest} in the coding '{headers.ContentEncoding.First()}', which was not asked for.");
            var (start, length) = response.StatusCode == HttpStatusCode.PartialContent
                ? (headers.ContentRange?.From ?? -1, headers.ContentRange?.Length)
                : (0, headers.ContentLength);
            if (start != from && start != 0)
                throw new UpstreamUnavailableException($"{origin.Authority} sent another range of {digest} than was asked for.");
            return new UpstreamBody(response, await response.Content.ReadAsStreamAsync(cancellationToken), start, length);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>A page of tags, in upstream's order.</summary>
    /// <param name="count">How many at most; null leaves it to upstream.</param>
    /// <param name="last">The tag to go on behind; null for the first page.</param>
    public async Task<TagPage> ListTagsAsync(RepositoryName name, int? count, string? last, CancellationToken cancellationToken)
    {
        var query = (count, last) switch
        {
            (null, null) => "",
            (null, _) => $"?last={Uri.EscapeDataString(last)}",
            (_, null) => $"?n={count}",
            _ => $"?n={count}&last={Uri.EscapeDataString(last)}",
        };
        using var response = await AskAsync(HttpMethod.Get, name, $"tags/list{query}", UpstreamKind.Tags, null, cancellationToken);
        Require(response, name, "tags/list");
        var body = await UpstreamRequest.ReadJsonAsync(response, UpstreamJson.Default.TagsBody, origin, cancellationToken);
        return new TagPage([.. (body.Tags ?? []).Where(Reference.IsTagName)], response.Headers.Contains("Link"));
    }

    /// <summary>
    /// The index of what refers to a manifest, as JSON; null where upstream has no such route or knows no such repository, which upstreams do
    /// not tell apart.
    /// </summary>
    public async Task<byte[]?> GetReferrersAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken)
    {
        using var response = await AskAsync(HttpMethod.Get, name, $"referrers/{subject}", UpstreamKind.Referrers, null, cancellationToken);
        if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.BadRequest)
            return null;
        Require(response, name, $"referrers/{subject}");
        return await UpstreamRequest.ReadBodyAsync(response, Manifest.MaxBytes, origin, cancellationToken);
    }

    private async Task<HttpResponseMessage> AskAsync(
        HttpMethod method, RepositoryName name, string path, UpstreamKind kind, RangeHeaderValue? range, CancellationToken cancellationToken)
    {
        var isPull = kind is UpstreamKind.Manifest && method == HttpMethod.Get;
        while (true)
        {
            var account = accounts.Choose(isPull);
            var request = new HttpRequestMessage(method, new Uri(origin.BaseAddress, $"v2/{origin.RemoteName(name)}/{path}"));
            request.Options.Set(UpstreamRequest.Kind, kind);
            request.Options.Set(UpstreamRequest.Account, account);
            request.Options.Set(UpstreamRequest.Scope, $"repository:{origin.RemoteName(name)}:pull");
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
            request.Headers.Range = range;
            if (kind is UpstreamKind.Manifest)
                UpstreamRequest.AcceptEveryManifest(request.Headers);
            HttpResponseMessage response;
            try
            {
                response = await UpstreamRequest.SendAsync(http, request, origin.Authority, cancellationToken);
            }
            catch (UpstreamUnavailableException failure) when (failure.IsLoginRefused && accounts.TryPutAside(account))
            {
                continue;
            }
            catch (UpstreamLimitedException limited)
            {
                // The token service says later: to this account, as the registry would.
                accounts.Pause(account, limited.RetryAfter, pullsOnly: false);
                continue;
            }
            if (response.StatusCode != HttpStatusCode.TooManyRequests || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
                return response;
            // This account is spent for now; another one may not be. With none left, choosing says "later".
            using (response)
                accounts.Pause(account, UpstreamRequest.RetryAfter(response, time), pullsOnly: isPull);
        }
    }

    // The three answers. What another host than the upstream says (a CDN whose signature ran out) is never "no".
    private void Require(HttpResponseMessage response, RepositoryName name, string what)
    {
        if (response.IsSuccessStatusCode)
            return;
        var status = (int)response.StatusCode;
        var itself = origin.IsSameOrigin(response.RequestMessage!.RequestUri!);
        throw (status, itself) switch
        {
            (404 or 410, true) => new UpstreamRefusedException($"{origin.Authority} has no {name}/{what}."),
            (401 or 403, true) => new UpstreamRefusedException($"{origin.Authority} does not let this mirror read {name}/{what}."),
            (429, _) => new UpstreamLimitedException($"{origin.Authority} says that its limit is reached.", UpstreamRequest.RetryAfter(response, time)),
            _ => new UpstreamUnavailableException($"{response.RequestMessage.RequestUri!.Authority} answered {status} to {name}/{what}."),
        };
    }

    private static Digest? Described(HttpResponseMessage response, Reference reference)
    {
        if (!reference.IsTag(out _, out var named))
            return named;
        return response.Headers.TryGetValues("Docker-Content-Digest", out var values) && Digest.TryParse(values.First(), out var digest) ? digest : null;
    }

    private static bool IsManifestType(string type) => type.Length <= 255 && (type.Contains("manifest", StringComparison.Ordinal) || type.Contains("index", StringComparison.Ordinal));
}
