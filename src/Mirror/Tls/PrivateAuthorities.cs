using System.Globalization;
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
    /// What is wrong with a certificate; null if one of these authorities issued it, and it is valid today. The machine's authorities do
    /// not count. Names are not compared.
    /// </summary>
    /// <param name="sent">The chain that the peer's certificates made; null where the peer sent no other certificate.</param>
    /// <param name="use">What the certificate must be for; null: it is not looked at.</param>
    public CertificateFault? WhyNotIssued(X509Certificate2 certificate, X509Chain? sent, Oid? use)
    {
        var faults = Faults(certificate, sent, use);
        // With a chain that ends at no authority, what else is wrong does not matter.
        return faults == X509ChainStatusFlags.NoError ? null
            : (faults & ~(X509ChainStatusFlags.NotTimeValid | X509ChainStatusFlags.NotValidForUsage)) != 0 ? CertificateFault.OtherAuthority
            : faults.HasFlag(X509ChainStatusFlags.NotTimeValid) ? CertificateFault.NotInTime
            : CertificateFault.OtherUse;
    }

    private X509ChainStatusFlags Faults(X509Certificate2 certificate, X509Chain? sent, Oid? use)
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
        if (chain.Build(certificate))
            return X509ChainStatusFlags.NoError;
        var faults = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, each) => all | each.Status);
        return faults == X509ChainStatusFlags.NoError ? X509ChainStatusFlags.PartialChain : faults;
    }

    /// <summary>
    /// Whether a server may be trusted because of these authorities. The parameters are those of
    /// <see cref="RemoteCertificateValidationCallback"/>. The certificate must be for the name of the server.
    /// </summary>
    public bool TrustServer(X509Certificate? certificate, X509Chain? sent, SslPolicyErrors errors) =>
        WhyNotTrusted(certificate, sent, errors) is null;

    /// <summary>As <see cref="TrustServer"/>: why the server may not be trusted, in words that end with the name that .NET has for it; null
    /// if it may be trusted.</summary>
    public string? WhyNotTrusted(X509Certificate? certificate, X509Chain? sent, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 shown)
            return $"the server sent no certificate ({SslPolicyErrors.RemoteCertificateNotAvailable})";
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            return $"the server's certificate is for {NamesOf(shown)}, and not for the host of the URL "
                + $"({SslPolicyErrors.RemoteCertificateNameMismatch})";
        var faults = Faults(shown, sent, use: null);
        if (!faults.HasFlag(X509ChainStatusFlags.NotTimeValid))
            return faults == X509ChainStatusFlags.NoError ? null
                : $"no trusted authority has signed the server's certificate ({faults})";
        var (from, to) = (shown.NotBefore.ToUniversalTime(), shown.NotAfter.ToUniversalTime());
        return string.Create(
            CultureInfo.InvariantCulture,
            $"the server's certificate, which is valid from {from:u} to {to:u}, or one that signed it is not valid now ({faults})");
    }

    private static string NamesOf(X509Certificate2 certificate)
    {
        string[] names =
        [
            .. certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
                .SelectMany(each => each.EnumerateDnsNames().Concat(each.EnumerateIPAddresses().Select(address => $"{address}"))),
        ];
        return names.Length == 0 ? "no host" : string.Join(", ", names.Take(5));
    }
}
