using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Tls;

/// <summary>
/// Certificate authorities of the operator's own, from PEM files. Revocation lists are not asked for: a private
/// authority rarely has one that this machine can reach.
/// </summary>
public sealed class PrivateAuthorities
{
    /// <summary>The use of a certificate by which clients show who they are (RFC 5280, 4.2.1.12). A certificate without a list of uses has
    /// this one too.</summary>
    public static readonly Oid ForClients = new("1.3.6.1.5.5.7.3.2");

    private readonly X509Certificate2Collection _roots = [];

    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="CryptographicException">A file holds no certificate.</exception>
    public PrivateAuthorities(IEnumerable<string> files)
    {
        foreach (var file in files)
            _roots.ImportFromPemFile(file);
    }

    /// <summary>Whether no authority is configured, so that no certificate can be checked.</summary>
    public bool IsEmpty => _roots.Count == 0;

    /// <summary>
    /// Whether one of these authorities issued the certificate, and it is valid today. The machine's authorities do not count. Names are
    /// not compared.
    /// </summary>
    /// <param name="sent">The chain that the peer's certificates made; null where the peer sent no other certificate.</param>
    /// <param name="use">What the certificate must be for; null: it is not looked at.</param>
    public bool HaveIssued(X509Certificate2 certificate, X509Chain? sent, Oid? use = null)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_roots);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        // A certificate may name an address of its issuer. Its sender must not choose what this server requests.
        chain.ChainPolicy.DisableCertificateDownloads = true;
        if (use is not null)
            chain.ChainPolicy.ApplicationPolicy.Add(use);
        foreach (var element in sent?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        return chain.Build(certificate);
    }

    /// <summary>
    /// Whether a server may be trusted because of these authorities. The parameters are those of
    /// <see cref="RemoteCertificateValidationCallback"/>. The certificate must be for the name of the server.
    /// </summary>
    public bool TrustServer(X509Certificate? certificate, X509Chain? sent, SslPolicyErrors errors) =>
        (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == 0 && certificate is X509Certificate2 shown && HaveIssued(shown, sent);
}
