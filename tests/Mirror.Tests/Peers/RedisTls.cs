using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Tests.Peers;

/// <summary>A private authority, a certificate for Redis, and one for its clients. Redis refuses clients without it.</summary>
public sealed class RedisTls : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free();

    public RedisTls()
    {
        using var authority = New("CN=tests", request =>
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true)));
        var (from, until) = (DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        using var root = authority.Request.CreateSelfSigned(from, until);
        _folder.Write("ca.pem", root.ExportCertificatePem());
        foreach (var name in new[] { "server", "client" })
        {
            using var leaf = New($"CN={name}", request =>
            {
                var names = new SubjectAlternativeNameBuilder();
                names.AddIpAddress(System.Net.IPAddress.Loopback);
                request.CertificateExtensions.Add(names.Build());
            });
            using var certificate = leaf.Request.Create(root, from, until, RandomNumberGenerator.GetBytes(8));
            _folder.Write($"{name}.pem", certificate.ExportCertificatePem());
            _folder.Write($"{name}.key", leaf.Key.ExportPkcs8PrivateKeyPem());
        }
    }

    public string Address => $"127.0.0.1:{_port.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>The authority's certificate.</summary>
    public string Authority => _folder["ca.pem"];

    /// <summary>The clients' certificate, and its key.</summary>
    public (string Certificate, string Key) Client => (_folder["client.pem"], _folder["client.key"]);

    /// <summary>What redis-server is told.</summary>
    public IEnumerable<string> Arguments =>
    [
        "--tls-port", _port.ToString(CultureInfo.InvariantCulture),
        "--tls-cert-file", _folder["server.pem"], "--tls-key-file", _folder["server.key"],
        "--tls-ca-cert-file", Authority, "--tls-auth-clients", "yes",
    ];

    public void Dispose() => _folder.Dispose();

    private static Pair New(string subject, Action<CertificateRequest> extend)
    {
        var key = RSA.Create(2048);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        extend(request);
        return new Pair(key, request);
    }

    private sealed record Pair(RSA Key, CertificateRequest Request) : IDisposable
    {
        public void Dispose() => Key.Dispose();
    }
}
