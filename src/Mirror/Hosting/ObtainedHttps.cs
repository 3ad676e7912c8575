using System.Buffers;
using System.Net.Security;
using System.Security.Authentication;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Mirror.Tls;
using Mirror.Tls.Acme;

namespace Mirror.Hosting;

/// <summary>Makes an endpoint speak TLS with the certificates of <c>http.tls.letsencrypt</c>, and answer the challenge
/// TLS-ALPN-01.</summary>
internal sealed class ObtainedHttps(
    ObtainedCertificates certificates, Challenges challenges, RenewedFiles<SslServerAuthenticationOptions> options)
{
    private static readonly TimeSpan MaxHello = TimeSpan.FromSeconds(10);

    // A fatal alert, unrecognized_name (RFC 6066, 3): the client can say what is wrong, where it would see a cut connection otherwise.
    private static readonly byte[] UnknownName = [21, 3, 3, 0, 2, 2, 112];

    /// <param name="options">What all connections have in common; a certificate is added.</param>
    public static void Use(ListenOptions endpoint, RenewedFiles<SslServerAuthenticationOptions> options)
    {
        var services = endpoint.ApplicationServices;
        var https = new ObtainedHttps(
            services.GetRequiredService<ObtainedCertificates>(), services.GetRequiredService<Challenges>(), options);
        endpoint.Use(https.LookForChallenge);
        endpoint.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = https.OptionsAsync });
        // With this protocol the handshake is all there is (RFC 8737, 4).
        endpoint.Use(next => connection =>
            connection.Features.Get<ChallengeHandshake>() is null ? next(connection) : Task.CompletedTask);
    }

    private async ValueTask<SslServerAuthenticationOptions> OptionsAsync(TlsHandshakeCallbackContext handshake)
    {
        if (handshake.Connection.Features.Get<ChallengeHandshake>()?.Certificate is { } proof)
            return new SslServerAuthenticationOptions
            {
                ServerCertificateContext = proof,
                ApplicationProtocols = [Challenges.Protocol],
                EnabledSslProtocols = options.Current.EnabledSslProtocols,
            };
        var host = handshake.ClientHelloInfo.ServerName;
        if (await certificates.FindAsync(host, handshake.CancellationToken) is { } certificate)
            return With(options.Current, certificate);
        await handshake.Connection.Transport.Output.WriteAsync(UnknownName, handshake.CancellationToken);
        throw new AuthenticationException(certificates.Has(host) ? $"there is no certificate for {host} yet"
            : "the client asks for a name that is not in http.tls.letsencrypt.hosts");
    }

    private static SslServerAuthenticationOptions With(SslServerAuthenticationOptions common, SslStreamCertificateContext certificate) =>
        new()
        {
            ServerCertificateContext = certificate,
            EnabledSslProtocols = common.EnabledSslProtocols,
            ApplicationProtocols = common.ApplicationProtocols,
            AllowRenegotiation = common.AllowRenegotiation,
            CertificateRevocationCheckMode = common.CertificateRevocationCheckMode,
            CipherSuitesPolicy = common.CipherSuitesPolicy,
            ClientCertificateRequired = common.ClientCertificateRequired,
            RemoteCertificateValidationCallback = common.RemoteCertificateValidationCallback,
        };

    // The callback of a handshake does not see which protocols the client offers. So while the authority is expected, and only then, the
    // first message of each connection is read before.
    private ConnectionDelegate LookForChallenge(ConnectionDelegate next) =>
        connection => challenges.ExpectHandshakes ? LookAsync(connection, next) : next(connection);

    private async Task LookAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed);
        limit.CancelAfter(MaxHello);
        try
        {
            if (await ReadHelloAsync(connection, limit.Token) is ({ Length: > 0 } host, var protocols)
                && protocols.Contains(Challenges.Protocol.ToString()) && challenges.Handshake(host) is { } proof)
                connection.Features.Set(new ChallengeHandshake(proof));
        }
        catch (Exception failure) when (failure is OperationCanceledException or IOException)
        {
            connection.Abort();
            return;
        }
        await next(connection);
    }

    private static async Task<(string Host, IReadOnlyList<string> Protocols)> ReadHelloAsync(
        ConnectionContext connection, CancellationToken cancellationToken)
    {
        var input = connection.Transport.Input;
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken);
            var length = ClientHello.LengthOf(read.Buffer.Slice(0, Math.Min(read.Buffer.Length, 5)).ToArray());
            if (read.IsCompleted || length <= read.Buffer.Length)
            {
                var hello = length is > 0 && length <= read.Buffer.Length
                    ? ClientHello.Read(read.Buffer.Slice(0, length.Value).ToArray())
                    : ("", []);
                // Nothing is taken away from the handshake.
                input.AdvanceTo(read.Buffer.Start);
                return hello;
            }
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private sealed record ChallengeHandshake(SslStreamCertificateContext Certificate);
}
