using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Bench;

/// <summary>A self-signed certificate for the servers over TLS; the clients accept any certificate.</summary>
internal static class Certificate
{
    /// <summary>Writes <c>certificate.pem</c> and <c>key.pem</c> into a folder.</summary>
    public static void WriteTo(string folder)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(7));
        File.WriteAllText(Path.Combine(folder, "certificate.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "key.pem"), key.ExportPkcs8PrivateKeyPem());
    }
}
