using System.Diagnostics;
using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mirror.Limits;
using Mirror.Storage;
using Mirror.Telemetry;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Mirror.Upstream;

/// <summary>The steps that all requests to upstreams share: sending, and reading small bodies.</summary>
internal static class UpstreamRequest
{
    /// <summary>The largest JSON body that is read from an upstream, in bytes. A list of 100,000 tags fits.</summary>
    public const int MaxJson = 16 << 20;

    // The time limit for the whole of a small body after its first byte. Without it, one byte at a time could go on for ever.
    private static readonly TimeSpan MaxBodyTime = TimeSpan.FromMinutes(1);

    // Few bodies are as large. Only some of those are read at a time; the others wait.
    private const int LargeBody = 256 * 1024;

    private static readonly SemaphoreSlim LargeBodies = new(DocumentMemory.MaxLargeBodies);

    // No header stops an account for days.
    private static readonly TimeSpan MaxPause = TimeSpan.FromHours(6);

    /// <summary>The header <c>User-Agent</c> of each request: some firewalls refuse requests without one.</summary>
    public static readonly ProductInfoHeaderValue Agent = new("mirror", Build.Version);

    /// <summary>The purpose of the request, for metrics.</summary>
    public static readonly HttpRequestOptionsKey<UpstreamKind> Kind = new("kind");

    /// <summary>The token scope that the request needs. Without one, no credentials are sent.</summary>
    public static readonly HttpRequestOptionsKey<string> Scope = new("scope");

    /// <summary>The account that the request is sent with.</summary>
    public static readonly HttpRequestOptionsKey<Account> Account = new("account");

    /// <summary>On the request of a 401 to a login by Basic: whether upstream refuses the login everywhere; absent if unknown.</summary>
    public static readonly HttpRequestOptionsKey<bool> IsLoginRefused = new("login refused");

    /// <summary>Whether the token of the request was asked for without the login of its account, because the login may not go to the token
    /// service.</summary>
    public static readonly HttpRequestOptionsKey<bool> IsLoginWithheld = new("login withheld");

    /// <summary>Where the request was sent last: to another host after a redirect.</summary>
    public static readonly HttpRequestOptionsKey<Uri> SentTo = new("sent to");

    // When the request was sent.
    private static readonly HttpRequestOptionsKey<long> SentAt = new("sent at");

    /// <summary>Names the request, so that a refusal can be remembered.</summary>
    public static readonly HttpRequestOptionsKey<UpstreamRequestKey> Key = new("key");

    /// <summary>Sends a request and returns at the response headers.</summary>
    /// <exception cref="UpstreamUnavailableException">The request failed before the response headers.</exception>
    public static async Task<HttpResponseMessage> SendAsync(
        HttpClient http, HttpRequestMessage request, UpstreamOrigin origin, CancellationToken cancellationToken)
    {
        request.Options.Set(SentAt, Stopwatch.GetTimestamp());
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (Exception failure) when (IsNoAnswer(failure)
            && (failure is not OperationCanceledException || !cancellationToken.IsCancellationRequested))
        {
            var url = request.Options.TryGetValue(SentTo, out var last) ? last : request.RequestUri!;
            throw new UpstreamUnavailableException(
                $"{url.Authority} {(IsUnusable(failure) ? "gave an answer that cannot be used" : "cannot be reached")}: {Reason(failure)}",
                failure)
            {
                OtherHost = origin.IsSameOrigin(url) ? null : url.Authority,
            };
        }
    }

    /// <summary>Whether a request ended without an answer, or was not sent.</summary>
    public static bool IsNoAnswer(Exception failure) =>
        failure is HttpRequestException or TimeoutRejectedException or BrokenCircuitException or OperationCanceledException;

    /// <summary>Whether a 404 may come from a registry that does not have the API for such a request. For referrers, the fallback tag is
    /// asked for then.</summary>
    public static bool MayLackApi(HttpRequestMessage request) =>
        request.Options.TryGetValue(Kind, out var kind) && kind is UpstreamKind.Referrers;

    /// <summary>Whether a host closed or reset the connection, or sent something else than HTTP, after the connection was made.</summary>
    public static bool IsCut(Exception? failure) => failure
        is HttpRequestException
        {
            HttpRequestError: HttpRequestError.ResponseEnded or HttpRequestError.InvalidResponse or HttpRequestError.HttpProtocolError
                or HttpRequestError.ConfigurationLimitExceeded,
        }
        or HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: IOException };

    /// <summary>Whether the headers of an answer are larger than the limit.</summary>
    public static bool IsTooManyHeaders(Exception? failure) =>
        failure is HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded };

    // Whether the host answered, and the answer breaks HTTP or a limit. The redirects are ours to refuse: there is no error of HTTP.
    private static bool IsUnusable(Exception failure) => IsTooManyHeaders(failure) || failure
        is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.HttpProtocolError }
        or RedirectException;

    /// <summary>
    /// As <see cref="Limits.RetryAfter.Of"/>, six hours at most.
    /// </summary>
    public static TimeSpan? RetryAfter(HttpResponseMessage response, TimeProvider time) =>
        Limits.RetryAfter.Of(response, time) is { } pause ? pause < MaxPause ? pause : MaxPause : null;

    /// <summary>
    /// How long the next bytes of a body may take. An upstream that is itself a cache may send the headers at once, and the first byte only
    /// when it has the content: this byte has as long as headers have, counted from the request.
    /// </summary>
    public static TimeSpan MaxSilence(HttpResponseMessage response, bool hasBegun, UpstreamOrigin upstream)
    {
        if (hasBegun || !response.RequestMessage!.Options.TryGetValue(SentAt, out var sent))
            return upstream.IdleTimeout;
        var left = (upstream.ResponseTimeout - Stopwatch.GetElapsedTime(sent)).ForTimer;
        return left > upstream.IdleTimeout ? left : upstream.IdleTimeout;
    }

    /// <summary>Reads a whole body. The memory grows with the bytes that come, and not by the announced length.</summary>
    /// <param name="max">The largest allowed body in bytes.</param>
    /// <param name="expected">The digest of the body, if it is known: then a body whose end is missing is accepted if it has this
    /// digest.</param>
    /// <exception cref="UpstreamUnavailableException">The body is larger, stalls, takes too long, or is cut.</exception>
    public static async Task<byte[]> ReadBodyAsync(
        HttpResponseMessage response, int max, UpstreamOrigin upstream, CancellationToken cancellationToken, Digest? expected = null)
    {
        using var whole = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        whole.CancelAfter(MaxSilence(response, hasBegun: false, upstream) + MaxBodyTime);
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(whole.Token);
        SemaphoreSlim? ofUpstream = null;
        var isLarge = false;
        using var body = new MemoryStream();
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            var buffer = new byte[32 * 1024];
            while (true)
            {
                idle.CancelAfter(MaxSilence(response, hasBegun: body.Length > 0, upstream));
                var read = await stream.ReadAsync(buffer, idle.Token);
                if (read == 0)
                    return Unpacked(response, body.ToArray(), max, upstream);
                if (body.Length + read > max)
                    throw TooLarge(max, upstream);
                if (!isLarge && body.Length + read > LargeBody)
                {
                    // To wait for a place is no silence of upstream.
                    idle.CancelAfter(Timeout.InfiniteTimeSpan);
                    await upstream.LargeBodies.WaitAsync(whole.Token);
                    ofUpstream = upstream.LargeBodies;
                    await LargeBodies.WaitAsync(whole.Token);
                    isLarge = true;
                }
                body.Write(buffer, 0, read);
            }
        }
        catch (Exception failure) when (failure is IOException or HttpRequestException
            || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            if (expected is { } digest && failure is IOException && body.ToArray() is var bytes
                && Digest.Of(bytes, digest.Algorithm) == digest)
                return bytes;
            throw new UpstreamUnavailableException($"{upstream.Authority} cut a body.", failure);
        }
        finally
        {
            if (isLarge)
                LargeBodies.Release();
            ofUpstream?.Release();
        }
    }

    /// <summary>The first bytes of a body: fewer than <paramref name="max"/> if it ends, stalls or is cut.</summary>
    public static async Task<byte[]> ReadStartAsync(
        HttpResponseMessage response, int max, UpstreamOrigin upstream, CancellationToken cancellationToken)
    {
        using var whole = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        whole.CancelAfter(upstream.IdleTimeout);
        var (start, length) = (new byte[max], 0);
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(whole.Token);
            while (length < max && await stream.ReadAsync(start.AsMemory(length), whole.Token) is > 0 and var read)
                length += read;
        }
        catch (Exception failure) when (failure is IOException or HttpRequestException
            || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // What came is enough, or too little.
        }
        return start[..length];
    }

    // Some registries compress documents although the request asks for identity. The label alone does not decide.
    private static byte[] Unpacked(HttpResponseMessage response, byte[] body, int max, UpstreamOrigin upstream)
    {
        if (body is not [0x1f, 0x8b, ..] || !response.Content.Headers.ContentEncoding.Any(IsGzip))
            return body;
        try
        {
            using var unpacked = new MemoryStream();
            using var gzip = new GZipStream(new MemoryStream(body), CompressionMode.Decompress);
            var buffer = new byte[32 * 1024];
            while (gzip.Read(buffer) is > 0 and var read)
                if (unpacked.Length + read > max)
                    throw TooLarge(max, upstream);
                else
                    unpacked.Write(buffer, 0, read);
            return unpacked.ToArray();
        }
        catch (InvalidDataException)
        {
            return body;
        }
    }

    private static bool IsGzip(string coding) =>
        coding.Equals("gzip", StringComparison.OrdinalIgnoreCase) || coding.Equals("x-gzip", StringComparison.OrdinalIgnoreCase);

    private static UpstreamUnavailableException TooLarge(int max, UpstreamOrigin upstream) =>
        new($"{upstream.Authority} sent more than {max} bytes, which is the limit.");

    /// <summary>Reads a body of JSON.</summary>
    /// <exception cref="UpstreamUnavailableException">The body cannot be read, or is other JSON.</exception>
    public static async Task<T> ReadJsonAsync<T>(
        HttpResponseMessage response, JsonTypeInfo<T> type, UpstreamOrigin upstream, CancellationToken cancellationToken) =>
        Parse(await ReadBodyAsync(response, MaxJson, upstream, cancellationToken), type, upstream);

    /// <exception cref="UpstreamUnavailableException">The body is other JSON.</exception>
    public static T Parse<T>(byte[] body, JsonTypeInfo<T> type, UpstreamOrigin upstream)
    {
        try
        {
            // Other clients accept a byte order mark before the document, and text after it.
            var document = body.AsSpan(body is [0xef, 0xbb, 0xbf, ..] ? 3 : 0);
            var reader = new Utf8JsonReader(document);
            return JsonSerializer.Deserialize(ref reader, type) ?? throw new JsonException("null");
        }
        catch (JsonException failure)
        {
            throw OtherJson(upstream, failure);
        }
    }

    /// <summary>Upstream sent a body that is not what was requested.</summary>
    public static UpstreamUnavailableException OtherJson(UpstreamOrigin upstream, Exception? failure = null) =>
        new($"{upstream.Authority} sent a body that is not the expected JSON.", failure);

    /// <summary>
    /// Accepts all types of manifests that the mirror stores. For a shorter list, registries convert the manifest or refuse it.
    /// </summary>
    public static void AcceptEveryManifest(HttpRequestHeaders headers)
    {
        foreach (var type in ManifestTypes)
            headers.Accept.Add(type);
    }

    private static readonly MediaTypeWithQualityHeaderValue[] ManifestTypes =
    [
        new(MediaTypes.OciIndex), new(MediaTypes.OciManifest), new(MediaTypes.DockerManifestList), new(MediaTypes.DockerManifest),
    ];

    /// <summary>What the operator can do about a request without a usable answer; null for the usual advice.</summary>
    /// <param name="url">Where the request was sent; null if that is not known.</param>
    /// <param name="isOtherHost">Whether it was sent to a host that upstream named, which no setting names.</param>
    internal static string? AdviceFor(Exception? failure, Uri? url = null, bool isOtherHost = false) => IsTooManyHeaders(failure)
        ? "ask the operators of upstream, or of a proxy in front of it, to send smaller headers; cookies and signed addresses are often "
            + "the largest ones"
        : failure is ProxyRefusedException refusal ? refusal.Advice
        : TlsFault.AdviceFor(failure, url, isOtherHost);

    /// <summary>Why a request got no answer, in words for the log.</summary>
    internal static string Reason(Exception failure) => failure switch
    {
        BrokenCircuitException => "circuit breaker open after repeated failures",
        OperationCanceledException { InnerException: TimeoutException } => "no connection in time",
        TimeoutRejectedException or OperationCanceledException => "no answer in time (proxy.response_timeout)",
        // The innermost exception says what is wrong with a certificate, or which one is required.
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => $"TLS: {failure.GetBaseException().Message}",
        _ when IsTooManyHeaders(failure) =>
            $"its headers have more than {UpstreamConnections.MaxHeaders} KiB, which is the limit",
        _ => failure.GetBaseException().Message,
    };
}
