using System.Net;
using Mirror.Configuration;
using Mirror.Telemetry;
using Yarp.ReverseProxy.Forwarder;

namespace Mirror.Fleet;

/// <summary>Forwards requests to the replica that has an upload open. A forwarded request is never forwarded again.</summary>
public sealed class Forwarding(IHttpForwarder forwarder, ReplicaConnections connections, HttpOptions http, FleetMetrics metrics)
{
    private readonly ForwarderRequestConfig _config = new()
    {
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        // The other replica cuts a client that sends nothing, and says so.
        ActivityTimeout = http.IdleTimeout + TimeSpan.FromMinutes(3),
    };

    /// <summary>
    /// Answers with the other replica's answer; false where that one cannot be reached, and the client has no answer yet.
    /// </summary>
    /// <exception cref="ReplicaLostException">The replica was lost in the middle of the request or the answer.</exception>
    public async Task<bool> TryAsync(HttpContext context, Uri replica)
    {
        metrics.Forwarded();
        var destination = replica.AbsoluteUri;
        var error = await forwarder.SendAsync(context, destination, connections, _config, Transformer.Instance, context.RequestAborted);
        if (error == ForwarderError.None)
            return true;
        context.RequestAborted.ThrowIfCancellationRequested();
        var failure = context.GetForwarderErrorFeature()?.Exception;
        // Part of the client's body may have been sent and lost. Only a request that never left this process can be tried again.
        var isRefused = error is ForwarderError.Request or ForwarderError.RequestTimedOut && ReplicaConnections.IsRefused(failure);
        if (isRefused && !context.Response.HasStarted)
        {
            context.Response.StatusCode = StatusCodes.Status200OK;
            return false;
        }
        throw new ReplicaLostException($"The replica {replica.Authority} was lost while it answered a forwarded request.", failure);
    }

    private sealed class Transformer : HttpTransformer
    {
        public static readonly Transformer Instance = new();

        public override async ValueTask TransformRequestAsync(
            HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            // The other replica believes this one in who the client is and which address it asked.
            proxyRequest.Headers.Host = httpContext.Request.Host.Value;
            foreach (var name in (string[])["Forwarded", "X-Forwarded-For", "X-Real-IP"])
                proxyRequest.Headers.Remove(name);
            if (httpContext.Connection.RemoteIpAddress is { } client)
                proxyRequest.Headers.Add("X-Forwarded-For", client.ToString());
            ReplicaConnections.Sign(proxyRequest, ReplicaSignature.SignedPart(httpContext.Request));
        }

        public override ValueTask<bool> TransformResponseAsync(
            HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
        {
            // The other replica has set all of our headers already.
            httpContext.Response.Headers.Clear();
            return base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        }
    }
}

/// <summary>A replica that had what was asked for is gone.</summary>
public sealed class ReplicaLostException(string message, Exception? inner = null) : IOException(message, inner)
{
    /// <summary>Whether its address refuses connections, so that it renews no lease any more.</summary>
    public bool IsRefused => ReplicaConnections.IsRefused(InnerException);

    /// <summary>Whether it answered that it cannot get the blob. That is its own trouble: others may reach their upstream.</summary>
    public bool HasFailed { get; init; }
}
