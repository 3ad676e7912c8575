using System.Net.Sockets;
using Mirror.Configuration;

namespace Mirror.Commands;

/// <summary>How the commands reach the server of a configuration on this machine.</summary>
internal static class LocalServer
{
    /// <summary>The URL of an address that the server listens on, with the prefix and a slash at its end.</summary>
    public static Uri UrlOf(ListenAddress address, HttpOptions http, bool isTls)
    {
        var asked = address.Socket is not null ? "localhost"
            : (address.IsAnyInterface ? address with { Host = "127.0.0.1" } : address).ToString();
        return new Uri($"{(isTls ? "https" : "http")}://{asked}{http.Prefix}");
    }

    /// <summary>The name that a request to the server has to ask for; null where that of the URL does. A server with obtained certificates
    /// has one for its own names only, and refuses all others.</summary>
    public static string? HostOf(HttpOptions http) => http.Tls.LetsEncrypt is { IsUsed: true, Hosts: [var host, ..] } ? host : null;

    /// <summary>Makes a handler connect to the address's Unix socket, where it is one.</summary>
    public static void ConnectTo(this SocketsHttpHandler handler, ListenAddress address)
    {
        if (address.Socket is not { } path)
            return;
        handler.UseProxy = false;
        handler.ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        };
    }
}
