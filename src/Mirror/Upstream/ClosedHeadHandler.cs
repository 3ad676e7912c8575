using System.Net;
using System.Net.Sockets;

namespace Mirror.Upstream;

/// <summary>
/// Some registries, and firewalls before them, close the connection on HEAD and answer GET. Such a HEAD counts as answered with 501: it is
/// not sent again, opens no circuit breaker, and a GET decides (<see cref="UpstreamAnswers.MustRetryAsGet"/>).
/// </summary>
internal sealed class ClosedHeadHandler : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await base.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException closed) when (request.Method == HttpMethod.Head && IsClosed(closed))
        {
            return new HttpResponseMessage(HttpStatusCode.NotImplemented) { RequestMessage = request };
        }
    }

    // After the request was sent. A host that refuses the connection itself does not answer GET either.
    private static bool IsClosed(HttpRequestException failure) =>
        failure.HttpRequestError is HttpRequestError.ResponseEnded
        || failure is { HttpRequestError: HttpRequestError.Unknown, InnerException: IOException }
        && failure.GetBaseException() is SocketException { SocketErrorCode: SocketError.ConnectionReset };
}
