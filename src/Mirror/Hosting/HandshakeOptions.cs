using System.Net.Security;
using Microsoft.AspNetCore.Connections;
using Mirror.Tls;

namespace Mirror.Hosting;

/// <summary>What a TLS handshake is made with.</summary>
/// <param name="Any">For every client.</param>
/// <param name="Tls13">
/// For a client that offers TLS 1.3; null if that makes no difference. With a list of suites .NET keeps no sessions, and loads the
/// certificate for each connection. The list is about TLS 1.2, so it is left out here.
/// </param>
internal sealed record HandshakeOptions(SslServerAuthenticationOptions Any, SslServerAuthenticationOptions? Tls13)
{
    /// <summary>The options for a connection, whose first message was read (<see cref="FirstMessages"/>).</summary>
    public SslServerAuthenticationOptions For(BaseConnectionContext connection) =>
        Tls13 is not null && ClientHello.OffersTls13(FirstMessages.Of(connection)) ? Tls13 : Any;
}
