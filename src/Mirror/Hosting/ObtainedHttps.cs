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
    ObtainedCertificates certificates, Challenges challenges, RenewedFiles<HandshakeOptions> options)
{
    // A fatal alert, unrecognized_name (RFC 6066, 3): the client can say what is wrong, where it would see a cut connection otherwise.
    private static readonly byte[] UnknownName = [21, 3, 3, 0, 2, 2, 112];

    /// <param name="endpoint">One whose first messages are read (<see cref="FirstMessages"/>).</param>
    /// <param name="options">What all connections have in common; a certificate is added.</param>
    public static void Use(ListenOptions endpoint, RenewedFiles<HandshakeOptions> options)
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
                EnabledSslProtocols = options.Current.Any.EnabledSslProtocols,
            };
        var host = handshake.ClientHelloInfo.ServerName;
        if (await certificates.FindAsync(host, handshake.CancellationToken) is { } certificate)
            return With(options.Current.For(handshake.Connection), certificate);
        await handshake.Connection.Transport.Output.WriteAsync(UnknownName, handshake.CancellationToken);
        throw new AuthenticationException(certificates.Has(host) ? $"there is no certificate for {host} yet"
            : "the client asks for a name that is not in http.tls.letsencrypt.hosts");
    }

    /// <summary>A copy of options, with a certificate.</summary>
    internal static SslServerAuthenticationOptions With(SslServerAuthenticationOptions common, SslStreamCertificateContext certificate)
    {
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificate,
            EnabledSslProtocols = common.EnabledSslProtocols,
            EncryptionPolicy = common.EncryptionPolicy,
            ApplicationProtocols = common.ApplicationProtocols,
            AllowRenegotiation = common.AllowRenegotiation,
            AllowTlsResume = common.AllowTlsResume,
            CertificateChainPolicy = common.CertificateChainPolicy,
            CertificateRevocationCheckMode = common.CertificateRevocationCheckMode,
            CipherSuitesPolicy = common.CipherSuitesPolicy,
            ClientCertificateRequired = common.ClientCertificateRequired,
            RemoteCertificateValidationCallback = common.RemoteCertificateValidationCallback,
        };
        if (OperatingSystem.IsLinux() || OperatingSystem.IsWindows())
            (options.AllowRsaPkcs1Padding, options.AllowRsaPssPadding) = (common.AllowRsaPkcs1Padding, common.AllowRsaPssPadding);
        return options;
    }

    // While the authority is expected, and only then.
    private ConnectionDelegate LookForChallenge(ConnectionDelegate next) => connection =>
    {
        if (challenges.ExpectHandshakes
            && ClientHello.Read(FirstMessages.Of(connection)) is ({ Length: > 0 } host, var protocols)
            && protocols.Contains(Challenges.Protocol.ToString()) && challenges.Handshake(host) is { } proof)
            connection.Features.Set(new ChallengeHandshake(proof));
        return next(connection);
    };

    private sealed record ChallengeHandshake(SslStreamCertificateContext Certificate);
}
