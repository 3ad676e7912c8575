using System.Net;

namespace Mirror.Fleet;

/// <summary>Requests to other replicas, each with the proof that it comes from one of them.</summary>
public sealed class ReplicaConnections : HttpMessageInvoker
{
    private static readonly HttpRequestOptionsKey<string> Proved = new("what is proved");

    public ReplicaConnections(FleetSecret secret)
        : base(new ProvingHandler(secret)
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
        })
    {
    }

    /// <summary>Says what a request asks for, as the other side will see it: the proof holds for nothing else.</summary>
    public static void Sign(HttpRequestMessage request, string pathAndQuery) => request.Options.Set(Proved, pathAndQuery);

    /// <summary>Whether nobody listens at a replica's address any more: its process has ended, or takes no new connections.</summary>
    public static bool IsRefused(Exception? failure) =>
        failure is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError };

    private sealed class ProvingHandler(FleetSecret secret) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.Remove(FleetSecret.Header);
            if (request.Options.TryGetValue(Proved, out var path))
                request.Headers.TryAddWithoutValidation(FleetSecret.Header, secret.Sign(request.Method.Method, path));
            return base.SendAsync(request, cancellationToken);
        }
    }
}
