
namespace Mirror.Tests.Peers;

/// <summary>
/// The client tests talk to peers with: nothing followed, nothing unpacked, no proxy, and as many connections as there are requests.
/// </summary>
internal static class Http
{
    internal static HttpClient Client { get; } = new(
        new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false, UseCookies = false })
    {
        Timeout = TimeSpan.FromMinutes(2),
    };
}
