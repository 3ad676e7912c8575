using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Mirror.Configuration;

namespace Mirror.Hosting;

/// <summary>Makes an endpoint speak TLS as <c>http.tls</c> says. The files are read once, at start.</summary>
internal static class HttpsEndpoint
{
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="CryptographicException">A file holds no such certificate or key.</exception>
    public static void Use(ListenOptions endpoint, TlsOptions tls)
    {
        X509Certificate2Collection chain = [];
        chain.ImportFromPemFile(tls.Certificate!);
        X509Certificate2Collection authorities = [];
        foreach (var file in tls.ClientCas)
            authorities.ImportFromPemFile(file);
        endpoint.UseHttps(https =>
        {
            https.ServerCertificate = X509Certificate2.CreateFromPemFile(tls.Certificate!, tls.Key);
            https.ServerCertificateChain = chain;
            https.SslProtocols = tls.Protocols;
            if (authorities.Count == 0)
                return;
            https.ClientCertificateMode = tls.ClientAuth is ClientAuth.RequireAndVerify ? ClientCertificateMode.RequireCertificate : ClientCertificateMode.AllowCertificate;
            https.ClientCertificateValidation = (certificate, _, _) => IsIssuedBy(authorities, certificate);
        });
    }

    // By the configured authorities and no others: the machine's own would let anybody in who has a public certificate.
    private static bool IsIssuedBy(X509Certificate2Collection authorities, X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(certificate);
    }
}
