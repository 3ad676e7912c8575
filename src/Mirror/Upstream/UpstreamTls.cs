using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mirror.Configuration;

namespace Mirror.Upstream;

/// <summary>
/// The certificate authorities that are trusted for one upstream, and the client certificate for it. Read once, at start.
/// </summary>
internal sealed class UpstreamTls
{
    private readonly X509Certificate2Collection _authorities = [];
    private readonly X509Certificate2? _client;

    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A file does not contain a certificate or its key.</exception>
    public UpstreamTls(UpstreamTlsOptions options)
    {
        if (options.Ca is { } ca)
            _authorities.ImportFromPemFile(ca);
        if (options.Certificate is { } certificate)
            _client = X509Certificate2.CreateFromPemFile(certificate, options.Key);
    }

    public SslClientAuthenticationOptions Options()
    {
        var options = new SslClientAuthenticationOptions();
        if (_client is not null)
            options.ClientCertificates = [_client];
        if (_authorities.Count > 0)
            options.RemoteCertificateValidationCallback = IsTrusted;
        return options;
    }

    // The machine's own authorities are trusted, and the configured ones. An error other than an unknown root is never ignored.
    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
            return true;
        if (errors != SslPolicyErrors.RemoteCertificateChainErrors || certificate is not X509Certificate2 leaf || chain is null)
            return false;
        using var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        own.ChainPolicy.ExtraStore.AddRange(chain.ChainElements.Select(element => element.Certificate).ToArray());
        return own.Build(leaf);
    }
}
