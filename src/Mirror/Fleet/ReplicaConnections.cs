using System.Net;
using System.Text;
using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>Sends requests to other replicas, each with the signature that shows that it comes from a replica.</summary>
public sealed class ReplicaConnections : HttpMessageInvoker
{
    private static readonly HttpRequestOptionsKey<string> SignedPath = new("signed path");

    public ReplicaConnections(ReplicaSignature signature)
        : base(new SigningHandler(signature)
        {
            InnerHandler = new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                AutomaticDecompression = DecompressionMethods.None,
                UseCookies = false,
                UseProxy = false,
                // The headers of a client are passed on, and those may have any letters.
                RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
                ConnectTimeout = TimeSpan.FromSeconds(1),
                ConnectCallback = HappyEyeballs.ConnectAsync,
                // A replica's name may get another address.
                PooledConnectionLifetime = TimeSpan.FromMinutes(1),
            },
        })
    {
    }

    /// <summary>Has a request signed for this path, as the other replica will see it. The signature is valid for no other.</summary>
    public static void Sign(HttpRequestMessage request, string pathAndQuery) => request.Options.Set(SignedPath, pathAndQuery);

    /// <summary>Whether a replica's address refuses connections: its process has ended, or takes no new connections.</summary>
    public static bool IsRefused(Exception? failure) =>
        failure is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError };

    private sealed class SigningHandler(ReplicaSignature signature) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.Remove(ReplicaSignature.Header);
            if (request.Options.TryGetValue(SignedPath, out var path))
                request.Headers.TryAddWithoutValidation(ReplicaSignature.Header, signature.Sign(request.Method.Method, path));
            return base.SendAsync(request, cancellationToken);
        }
    }
}
