using System.Net;
using Mirror.Telemetry;
using Yarp.ReverseProxy.Forwarder;

namespace Mirror.Fleet;

/// <summary>Passes requests on to the replica that has what they ask for. A request that was passed on is never passed on again.</summary>
public sealed class Forwarding : IDisposable
{
    private static readonly ForwarderRequestConfig Config = new()
    {
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        // An owner that waits for upstream is silent for as long as upstream is; a dead one is noticed by its lease.
        ActivityTimeout = TimeSpan.FromMinutes(3),
    };

    private readonly IHttpForwarder _forwarder;
    private readonly FleetSecret _secret;
    private readonly RegistryMetrics _metrics;
    private readonly HttpMessageInvoker _invoker;

    public Forwarding(IHttpForwarder forwarder, FleetSecret secret, RegistryMetrics metrics, TimeProvider time, ILogger<Forwarding> log)
    {
        (_forwarder, _secret, _metrics) = (forwarder, secret, metrics);
        _invoker = new HttpMessageInvoker(new ResumingHandler(secret, metrics, time, log)
        {
            InnerHandler = new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                AutomaticDecompression = DecompressionMethods.None,
                UseCookies = false,
                UseProxy = false,
                ConnectTimeout = TimeSpan.FromSeconds(1),
                // Replicas come and go under the same name.
                PooledConnectionLifetime = TimeSpan.FromMinutes(1),
            },
        });
    }

    /// <summary>Whether another replica passed this request on.</summary>
    public bool IsForwarded(HttpRequest request) =>
        request.Headers[FleetSecret.Header] is [{ } header] && _secret.IsProved(header, request.Method, ResumingHandler.Proved(request));

    /// <summary>Answers with what another replica answers; false where it cannot be reached, and nothing was answered yet.</summary>
    /// <param name="body">How to go on when it is lost in the middle of a body; null where that cannot be.</param>
    public async Task<bool> TryAsync(HttpContext context, Uri replica, ForwardedBody? body)
    {
        _metrics.Forwarded();
        var error = await _forwarder.SendAsync(context, replica.AbsoluteUri, _invoker, Config, new Transformer(body), context.RequestAborted);
        if (error == ForwarderError.None)
            return true;
        context.RequestAborted.ThrowIfCancellationRequested();
        var failure = context.GetForwarderErrorFeature()?.Exception;
        // The client's own body may be gone with what was sent of it: only what never left can be tried again.
        if (!context.Response.HasStarted && error is ForwarderError.Request or ForwarderError.RequestTimedOut
            && (body is not null || failure is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError }))
        {
            context.Response.Clear();
            return false;
        }
        throw new IOException($"The replica {replica.Authority} was lost in the middle of an answer.", failure);
    }

    public void Dispose() => _invoker.Dispose();

    private sealed class Transformer(ForwardedBody? body) : HttpTransformer
    {
        public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            // Locations are made from the name that the client knows.
            proxyRequest.Headers.Host = httpContext.Request.Host.Value;
            proxyRequest.Options.Set(ResumingHandler.PathToProve, ResumingHandler.Proved(httpContext.Request));
            if (body is not null)
                proxyRequest.Options.Set(ResumingHandler.Body, body);
        }

        public override ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
        {
            // The other one has said it all, but for how it came to us.
            httpContext.Response.Headers.Clear();
            if (body is not null)
                proxyResponse?.Headers.Remove("X-Cache");
            if (body is not null && proxyResponse is { IsSuccessStatusCode: true })
                httpContext.Response.Headers["X-Cache"] = Outcome.Joined.Word;
            return base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        }
    }
}
