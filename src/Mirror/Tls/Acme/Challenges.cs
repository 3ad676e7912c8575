using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Mirror.Tls.Acme;

/// <summary>What the authority may ask this server for, while it checks that a host is this server. Thread-safe.</summary>
public sealed class Challenges
{
    /// <summary>The name of the protocol in a handshake of TLS-ALPN-01 (RFC 8737, 6.2).</summary>
    public static readonly SslApplicationProtocol Protocol = new("acme-tls/1");

    // id-pe-acmeIdentifier, RFC 8737, 6.1.
    private const string AcmeIdentifier = "1.3.6.1.5.5.7.1.31";

    private readonly ConcurrentDictionary<string, SslStreamCertificateContext> _handshakes = new(StringComparer.OrdinalIgnoreCase);
    private readonly ConcurrentDictionary<string, string> _files = new(StringComparer.Ordinal);

    /// <summary>Whether handshakes of the authority are expected.</summary>
    public bool ExpectHandshakes => !_handshakes.IsEmpty;

    /// <summary>The certificate for a handshake of TLS-ALPN-01; null where none is expected.</summary>
    public SslStreamCertificateContext? Handshake(string host) => _handshakes.GetValueOrDefault(host);

    /// <summary>The text at <c>/.well-known/acme-challenge/TOKEN</c> (RFC 8555, 8.3); null where none is expected.</summary>
    public string? File(string token) => _files.GetValueOrDefault(token);

    /// <summary>Answers TLS-ALPN-01 for a host, until the result is disposed.</summary>
    internal IDisposable OfferHandshake(string host, string keyAuthorization)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=ACME challenge", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        // An OCTET STRING of 32 bytes.
        byte[] digest = [0x04, 0x20, .. SHA256.HashData(Encoding.ASCII.GetBytes(keyAuthorization))];
        request.CertificateExtensions.Add(new X509Extension(AcmeIdentifier, digest, critical: true));
        var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(7));
        return new Offer<SslStreamCertificateContext>(
            _handshakes, host, SslStreamCertificateContext.Create(certificate, additionalCertificates: null, offline: true));
    }

    /// <summary>Answers HTTP-01 for a token, until the result is disposed.</summary>
    internal IDisposable OfferFile(string token, string keyAuthorization) => new Offer<string>(_files, token, keyAuthorization);

    private sealed class Offer<T> : IDisposable
    {
        private readonly ConcurrentDictionary<string, T> _all;
        private readonly KeyValuePair<string, T> _one;

        public Offer(ConcurrentDictionary<string, T> all, string key, T value)
        {
            (_all, _one) = (all, new(key, value));
            all[key] = value;
        }

        public void Dispose() => _all.TryRemove(_one);
    }
}
