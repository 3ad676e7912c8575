using System.Net;
using Mirror.Telemetry;
using Yarp.ReverseProxy.Forwarder;

namespace Mirror.Fleet;

/// <summary>Passes requests on to the replica that has an upload open. A request that was passed on is never passed on again.</summary>
public sealed class Forwarding(IHttpForwarder forwarder, ReplicaConnections connections, RegistryMetrics metrics)
{
    private static readonly ForwarderRequestConfig Config = new()
    {
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        ActivityTimeout = TimeSpan.FromMinutes(3),
    };

    /// <summary>Answers with what another replica answers; false where it cannot be reached, and nothing was answered yet.</summary>
    /// <exception cref="ReplicaLostException">It was lost in the middle.</exception>
    public async Task<bool> TryAsync(HttpContext context, Uri replica)
    {
        metrics.RecordForward();
        var error = await forwarder.SendAsync(context, replica.AbsoluteUri, connections, Config, Transformer.Instance, context.RequestAborted);
        if (error == ForwarderError.None)
            return true;
        context.RequestAborted.ThrowIfCancellationRequested();
        var failure = context.GetForwarderErrorFeature()?.Exception;
        // The client's body may be gone with what was sent of it: only what never left can be tried again.
        if (!context.Response.HasStarted && error is ForwarderError.Request or ForwarderError.RequestTimedOut && ReplicaConnections.IsRefused(failure))
        {
            context.Response.StatusCode = StatusCodes.Status200OK;
            return false;
        }
        throw new ReplicaLostException($"The replica {replica.Authority} was lost in the middle of an answer.", failure);
    }

    private sealed class Transformer : HttpTransformer
    {
        public static readonly Transformer Instance = new();

        public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            // Locations are made from the name that the client knows.
            proxyRequest.Headers.Host = httpContext.Request.Host.Value;
            ReplicaConnections.Sign(proxyRequest, FleetSecret.SignedPart(httpContext.Request));
        }

        public override ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
        {
            // The other one has said it all.
            httpContext.Response.Headers.Clear();
            return base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        }
    }
}

/// <summary>Another replica had what was asked for, and is gone.</summary>
public sealed class ReplicaLostException(string message, Exception? inner = null) : IOException(message, inner)
{
    /// <summary>Nobody listens at its address: its leases are nobody's.</summary>
    public bool IsRefused => ReplicaConnections.IsRefused(InnerException);
}
