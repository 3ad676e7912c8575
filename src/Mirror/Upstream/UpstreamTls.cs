using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mirror.Configuration;
using Mirror.Tls;

namespace Mirror.Upstream;

/// <summary>
/// The certificate authorities that are trusted for one upstream, and the client certificate for it. Read once, at start.
/// </summary>
internal sealed class UpstreamTls
{
    private readonly PrivateAuthorities _authorities;
    private readonly X509Certificate2? _client;

    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A file does not contain a certificate or its key.</exception>
    public UpstreamTls(UpstreamTlsOptions options)
    {
        _authorities = new PrivateAuthorities(options.Ca is { } ca ? [ca] : []);
        if (options.Certificate is { } certificate)
            _client = X509Certificate2.CreateFromPemFile(certificate, options.Key);
    }

    public SslClientAuthenticationOptions Options()
    {
        var options = new SslClientAuthenticationOptions();
        if (_client is not null)
            options.ClientCertificates = [_client];
        if (!_authorities.IsEmpty)
            options.RemoteCertificateValidationCallback = IsTrusted;
        return options;
    }

    // The machine's own authorities are trusted as well as the configured ones.
    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? sent, SslPolicyErrors errors) =>
        errors == SslPolicyErrors.None || _authorities.TrustServer(certificate, sent, errors);
}
