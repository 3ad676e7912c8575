
namespace Mirror.Tests.Peers;

/// <summary>
/// The client tests talk to peers with: nothing followed, nothing unpacked, no proxy, and as many connections as there are requests.
/// </summary>
internal static class Http
{
    /// <summary>The address in a response's <c>Location</c>, which may be a path alone.</summary>
    internal static Uri LocationOf(HttpResponseMessage response) => new(response.RequestMessage!.RequestUri!, response.Headers.Location!);

    internal static HttpClient Client { get; } = new(
        new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            // As other clients, which do not look at what they are told to send.
            RequestHeaderEncodingSelector = (_, _) => System.Text.Encoding.UTF8,
        })
    {
        Timeout = TimeSpan.FromMinutes(2),
    };
}
