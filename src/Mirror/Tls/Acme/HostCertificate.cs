using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Tls.Acme;

/// <summary>A certificate with its key and its chain, ready for handshakes.</summary>
internal sealed class HostCertificate
{
    private static readonly TimeSpan MaxAhead = TimeSpan.FromDays(30);

    private HostCertificate(SslStreamCertificateContext context, DateTimeOffset from, DateTimeOffset until) =>
        (Context, From, Until) = (context, from, until);

    public SslStreamCertificateContext Context { get; }

    public DateTimeOffset From { get; }

    public DateTimeOffset Until { get; }

    /// <summary>30 days before the end, or when two thirds of the lifetime are over, if that is later.</summary>
    public DateTimeOffset RenewAt => Until - (MaxAhead < (Until - From) / 3 ? MaxAhead : (Until - From) / 3);

    /// <summary>Reads a key and a chain in PEM, with the certificate of the host first.</summary>
    /// <exception cref="CryptographicException">There is no certificate of this host, or the key is that of another one.</exception>
    public static HostCertificate Parse(string pem, string host)
    {
        try
        {
            X509Certificate2Collection chain = [];
            chain.ImportFromPem(pem);
            var certificate = X509Certificate2.CreateFromPem(pem, pem);
            if (!certificate.MatchesHostname(host, allowCommonName: false))
                throw new CryptographicException($"the certificate is not for {host}");
            // Nothing is fetched for it: the chain is complete.
            var context = SslStreamCertificateContext.Create(certificate, chain, offline: true);
            return new(context, certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime());
        }
        catch (Exception failure) when (failure.IsKeyFailure && failure is not CryptographicException)
        {
            throw new CryptographicException(failure.Message, failure);
        }
    }
}
