using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Mirror.Configuration;
using Mirror.Tls;

namespace Mirror.Hosting;

/// <summary>
/// Makes an endpoint speak TLS as <c>http.tls</c> says. A renewed certificate, and renewed authorities of clients, are used for the
/// connections that come after them.
/// </summary>
internal static partial class HttpsEndpoint
{
    private static readonly TlsCipherSuite[] Tls13Suites =
    [
        TlsCipherSuite.TLS_AES_256_GCM_SHA384, TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256, TlsCipherSuite.TLS_AES_128_GCM_SHA256,
    ];

    // With forward secrecy, and without CBC, which led to attacks such as Lucky Thirteen (RFC 7457, 2.4; RFC 9325, 4.2).
    private static readonly TlsCipherSuite[] Tls12Suites =
    [
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TlsCipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];

    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="CryptographicException">A file holds no such certificate or key.</exception>
    public static void Use(ListenOptions endpoint)
    {
        var services = endpoint.ApplicationServices;
        var (live, log) = (services.GetRequiredService<LiveOptions>(), services.GetRequiredService<ILogger<TlsOptions>>());
        List<SslApplicationProtocol> protocols = [SslApplicationProtocol.Http11];
        if (endpoint.Protocols.HasFlag(HttpProtocols.Http2))
            protocols.Insert(0, SslApplicationProtocol.Http2);

        var isObtained = Tls().LetsEncrypt.IsUsed;
        var renewed = new RenewedFiles<HandshakeOptions>(
            () => isObtained ? Tls().ClientCas : [Tls().Certificate!, Tls().Key!, .. Tls().ClientCas],
            () => Read(Tls(), isObtained ? null : CertificateOf(Tls()), protocols),
            services.GetRequiredService<TimeProvider>())
        {
            Report = why =>
            {
                if (isObtained)
                    LogAuthorities(log, why ?? "they are used for new connections");
                else if (why is null)
                    LogRenewed(log, Tls().Certificate!);
                else
                    LogUnusable(log, Tls().Certificate!, Tls().Key!, why);
            },
        };
        live.Changed += renewed.Check;
        FirstMessages.Read(endpoint);
        if (isObtained)
            ObtainedHttps.Use(endpoint, renewed);
        else
            endpoint.UseHttps(
                new TlsHandshakeCallbackOptions { OnConnection = handshake => new(renewed.Current.For(handshake.Connection)) });

        TlsOptions Tls() => live.Current.Http.Tls;
    }

    /// <summary>The certificate of the files, with which a handshake has succeeded.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="CryptographicException">A file holds no such certificate or key, or OpenSSL refuses them.</exception>
    public static SslStreamCertificateContext CertificateOf(TlsOptions tls)
    {
        X509Certificate2Collection chain = [];
        chain.ImportFromPemFile(tls.Certificate!);
        var certificate = SslStreamCertificateContext.Create(KeyPair.Read(tls.Certificate!, tls.Key), chain, offline: true);
        HandshakeTrial.Require(certificate);
        return certificate;
    }

    private static HandshakeOptions Read(TlsOptions tls, SslStreamCertificateContext? certificate, List<SslApplicationProtocol> protocols)
    {
        var any = Options(tls, certificate, protocols);
        if (any.CipherSuitesPolicy is null || any.ClientCertificateRequired)
            return new(any, null);
        var tls13 = Options(tls, certificate, protocols);
        (tls13.EnabledSslProtocols, tls13.CipherSuitesPolicy) = (SslProtocols.Tls13, null);
        return new(any, tls13);
    }

    private static SslServerAuthenticationOptions Options(
        TlsOptions tls, SslStreamCertificateContext? certificate, List<SslApplicationProtocol> protocols)
    {
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificate,
            EnabledSslProtocols = tls.Protocols,
            ApplicationProtocols = protocols,
            AllowRenegotiation = false,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            CipherSuitesPolicy = Suites(tls),
        };
        var authorities = new PrivateAuthorities(tls.ClientCas);
        if (authorities.IsEmpty)
            return options;
        options.ClientCertificateRequired = true;
        // As in PrivateAuthorities: the framework builds a chain of its own before it asks below.
        options.CertificateChainPolicy = new X509ChainPolicy
        {
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        // Each connection shows its certificate, and the authorities of now decide.
        options.AllowTlsResume = false;
        // The machine's own authorities do not count: with them, every owner of a public certificate could connect.
        options.RemoteCertificateValidationCallback = (_, shown, sent, _) =>
        {
            if (WhyRefused(tls.DemandOnClients, authorities, shown as X509Certificate2, sent) is not { } why)
                return true;
            HandshakeFailures.Refuse(why);
            return false;
        };
        return options;
    }

    // Null for a client that is let in.
    private static string? WhyRefused(ClientAuth rule, PrivateAuthorities authorities, X509Certificate2? shown, X509Chain? sent) =>
        (rule, shown) switch
        {
            (ClientAuth.Request, _) or (ClientAuth.VerifyIfGiven, null) or (ClientAuth.RequireAny, not null) => null,
            (_, null) => "it sent no certificate",
            (_, { } own) => authorities.WhyNotIssued(own, sent, PrivateAuthorities.ForClients) switch
            {
                null => null,
                CertificateFault.NotInTime => "its certificate, or one that signed it, is not valid now",
                CertificateFault.OtherUse => "its certificate is not one for clients (extended key usage, RFC 5280)",
                _ => "no authority of http.tls.clientcas has signed its certificate",
            },
        };

    // Without the suites of TLS 1.3 in the list, that version would be refused.
    private static CipherSuitesPolicy? Suites(TlsOptions tls) =>
        tls.MinimumTls is TlsVersion.Tls13 || !OperatingSystem.IsLinux() ? null
        : new CipherSuitesPolicy(
            (tls.CipherSuites is [] ? Tls12Suites : tls.CipherSuites.Select(Enum.Parse<TlsCipherSuite>)).Concat(Tls13Suites).Distinct());

    [LoggerMessage(Level = LogLevel.Information, Message = "the files of http.tls have changed: new connections get {Certificate}")]
    private static partial void LogRenewed(ILogger log, string certificate);

    [LoggerMessage(Level = LogLevel.Information, Message = "the files of http.tls.clientcas have changed: {Outcome}")]
    private static partial void LogAuthorities(ILogger log, string outcome);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the files of http.tls have changed, and cannot be used ({Reason}). The certificate that was read before stays until this process "
        + "can read {Certificate} and {Key}, and they belong together")]
    private static partial void LogUnusable(ILogger log, string certificate, string key, string reason);
}
