using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mirror.Telemetry;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Mirror.Upstream;

/// <summary>What every request to an upstream has in common.</summary>
internal static class UpstreamRequest
{
    /// <summary>The longest JSON body taken from an upstream, in bytes; a tag list of 100,000 tags fits.</summary>
    public const int MaxJson = 16 << 20;

    // CrossKeyRules for all of a small body: one that drips is no better than one that stalls.
    private static readonly TimeSpan MaxBody = TimeSpan.FromMinutes(1);

    /// <summary>What the request is about, for the metrics.</summary>
    public static readonly HttpRequestOptionsKey<UpstreamKind> Kind = new("kind");

    /// <summary>The token scope the request needs; without one no credentials are sent.</summary>
    public static readonly HttpRequestOptionsKey<string> Scope = new("scope");

    /// <summary>The account it is sent with.</summary>
    public static readonly HttpRequestOptionsKey<Account> Account = new("account");

    /// <summary>Sends until the response headers; whatever goes wrong before them is "upstream says nothing".</summary>
    public static async Task<HttpResponseMessage> SendAsync(HttpClient http, HttpRequestMessage request, string upstream, CancellationToken cancellationToken)
    {
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (Exception failure) when (failure is HttpRequestException or TimeoutRejectedException or BrokenCircuitException
            || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new UpstreamUnavailableException($"{upstream} cannot be reached: {Reason(failure)}", failure);
        }
    }

    /// <summary>How long upstream asks us to wait (RFC 9110, 10.2.3); null where it does not say.</summary>
    public static TimeSpan? RetryAfter(HttpResponseMessage response, TimeProvider time) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } when date > time.GetUtcNow() => date - time.GetUtcNow(),
        _ => null,
    };

    /// <summary>Reads a body of bounded length.</summary>
    /// <exception cref="UpstreamUnavailableException">It is longer, stalls, drips, or breaks off.</exception>
    public static async Task<byte[]> ReadBodyAsync(HttpResponseMessage response, int longest, UpstreamOrigin upstream, CancellationToken cancellationToken)
    {
        using var whole = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        whole.CancelAfter(MaxBody);
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(whole.Token);
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            using var body = new MemoryStream((int)Math.Min(response.Content.Headers.ContentLength ?? 4096, longest));
            var buffer = new byte[32 * 1024];
            while (true)
            {
                idle.CancelAfter(upstream.IdleTimeout);
                var read = await stream.ReadAsync(buffer, idle.Token);
                if (read == 0)
                    return body.ToArray();
                if (body.Length + read > longest)
                    throw new UpstreamUnavailableException($"{upstream.Authority} sent more than {longest} bytes where that is the limit.");
                body.Write(buffer, 0, read);
            }
        }
        catch (Exception failure) when (failure is IOException or HttpRequestException || failure is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw new UpstreamUnavailableException($"{upstream.Authority} broke off in the middle of a body.", failure);
        }
    }

    /// <exception cref="UpstreamUnavailableException">The body is not that JSON.</exception>
    public static async Task<T> ReadJsonAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type, UpstreamOrigin upstream, CancellationToken cancellationToken)
    {
        var body = await ReadBodyAsync(response, MaxJson, upstream, cancellationToken);
        try
        {
            return JsonSerializer.Deserialize(body, type) ?? throw new JsonException("null");
        }
        catch (JsonException failure)
        {
            throw new UpstreamUnavailableException($"{upstream.Authority} answered something that is not the JSON it should be.", failure);
        }
    }

    /// <summary>The exact types the mirror keeps; a narrower list makes registries convert or deny (protocol of quay.io, ghcr.io, Docker Hub).</summary>
    public static void AcceptEveryManifest(HttpRequestHeaders headers)
    {
        foreach (var type in ManifestTypes)
            headers.Accept.Add(type);
    }

    private static readonly MediaTypeWithQualityHeaderValue[] ManifestTypes =
    [
        new(Storage.MediaTypes.OciIndex), new(Storage.MediaTypes.OciManifest), new(Storage.MediaTypes.DockerManifestList), new(Storage.MediaTypes.DockerManifest),
    ];

    private static string Reason(Exception failure) => failure switch
    {
        BrokenCircuitException => "it failed again and again just now, so it is left alone for a moment.",
        TimeoutRejectedException or OperationCanceledException => "it did not answer in time.",
        // What is wrong with a certificate, or which one is wanted, stands innermost.
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => $"TLS: {failure.GetBaseException().Message}",
        _ => failure.GetBaseException().Message,
    };
}
