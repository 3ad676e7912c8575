using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Mirror.Configuration;
using Mirror.Tls;

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
        var authorities = new PrivateAuthorities(tls.ClientCas);
        endpoint.UseHttps(https =>
        {
            https.ServerCertificate = X509Certificate2.CreateFromPemFile(tls.Certificate!, tls.Key);
            https.ServerCertificateChain = chain;
            https.SslProtocols = tls.Protocols;
            if (authorities.IsEmpty)
                return;
            https.ClientCertificateMode = tls.ClientAuth is ClientAuth.RequireAndVerify
                ? ClientCertificateMode.RequireCertificate
                : ClientCertificateMode.AllowCertificate;
            // The machine's own authorities do not count: with them, every owner of a public certificate could connect.
            https.ClientCertificateValidation = (certificate, sent, _) => authorities.HaveIssued(certificate, sent);
        });
    }
}
