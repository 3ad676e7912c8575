using System.Net;
using System.Net.Http.Headers;
using Mirror.Telemetry;

namespace Mirror.Fleet;

/// <summary>
/// Below the forwarder: proves this replica to the other one, and gives out bodies that go on when the other one is lost (<see cref="ResumingBody"/>).
/// </summary>
internal sealed class ResumingHandler(FleetSecret secret, RegistryMetrics metrics, TimeProvider time, ILogger log) : DelegatingHandler
{
    /// <summary>What the proof is about.</summary>
    public static readonly HttpRequestOptionsKey<string> PathToProve = new("path to prove");

    /// <summary>How to go on; absent where the body is not a blob's.</summary>
    public static readonly HttpRequestOptionsKey<ForwardedBody> Body = new("body");

    /// <summary>What a proof is about, as both sides see it.</summary>
    public static string Proved(HttpRequest request) => $"{request.Path}{request.QueryString}";

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await SendOnceAsync(request, cancellationToken);
        if (!request.Options.TryGetValue(Body, out var body) || response.Content.Headers.ContentLength is not { } length || length == 0
            || response.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.PartialContent))
            return response;
        var range = response.Content.Headers.ContentRange;
        if (response.StatusCode == HttpStatusCode.PartialContent && range is not { From: not null, Length: not null })
            return response;
        var from = range?.From ?? 0;
        var total = range?.Length ?? length;
        var content = new StreamContent(new ResumingBody(this, request, response, body, from, from + length, total, metrics, time, log));
        foreach (var header in response.Content.Headers)
            content.Headers.TryAddWithoutValidation(header.Key, header.Value);
        // The stream keeps the first response alive.
        var resuming = new HttpResponseMessage(response.StatusCode) { Content = content, Version = response.Version, ReasonPhrase = response.ReasonPhrase, RequestMessage = request };
        foreach (var header in response.Headers)
            resuming.Headers.TryAddWithoutValidation(header.Key, header.Value);
        return resuming;
    }

    /// <summary>Asks a replica for the rest of a body.</summary>
    /// <param name="asked">What the client asked for.</param>
    internal Task<HttpResponseMessage> AskForRestAsync(HttpRequestMessage asked, Uri replica, long from, long end, CancellationToken cancellationToken)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(replica, asked.RequestUri!.PathAndQuery)) { Version = asked.Version, VersionPolicy = asked.VersionPolicy };
        foreach (var header in asked.Headers)
            if (header.Key is not ("Range" or "If-Range" or "If-None-Match" or FleetSecret.Header))
                request.Headers.TryAddWithoutValidation(header.Key, header.Value);
        request.Headers.Range = new RangeHeaderValue(from, end - 1);
        request.Options.Set(PathToProve, asked.Options.TryGetValue(PathToProve, out var path) ? path : "");
        return SendOnceAsync(request, cancellationToken);
    }

    private Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.Headers.Remove(FleetSecret.Header);
        if (request.Options.TryGetValue(PathToProve, out var path))
            request.Headers.TryAddWithoutValidation(FleetSecret.Header, secret.Prove(request.Method.Method, path));
        return base.SendAsync(request, cancellationToken);
    }
}
