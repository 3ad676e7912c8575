using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Tls;

/// <summary>Reads a certificate and its key from PEM files. The messages of its exceptions say what the operator has to change.</summary>
public static class KeyPair
{
    private const string Rsa = "1.2.840.113549.1.1.1", EllipticCurve = "1.2.840.10045.2.1";

    /// <summary>The certificate, with its key.</summary>
    /// <param name="certificate">Its own certificate is the first one in this file.</param>
    /// <param name="key">Null: the key is in the file of the certificate.</param>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="CryptographicException">The files hold no such pair, or one that TLS cannot use here.</exception>
    public static X509Certificate2 Read(string certificate, string? key)
    {
        try
        {
            return X509Certificate2.CreateFromPemFile(certificate, key);
        }
        catch (Exception failure) when (failure.IsKeyFailure)
        {
            ReadCertificate(certificate).Dispose();
            throw WhyNot(File.ReadAllText(key ?? certificate), key ?? certificate, certificate) is { } why
                ? new CryptographicException(why, failure)
                : failure as CryptographicException ?? new CryptographicException(failure.Message, failure);
        }
    }

    /// <summary>The first certificate in a file, without its key.</summary>
    /// <inheritdoc cref="Read" path="/exception"/>
    public static X509Certificate2 ReadCertificate(string file)
    {
        X509Certificate2Collection read = [];
        read.ImportFromPemFile(file);
        if (read.Count == 0)
            throw new CryptographicException("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
        var kind = read[0].PublicKey.Oid;
        return kind.Value is Rsa or EllipticCurve
            ? read[0]
            : throw new CryptographicException(
                $"its key is of the kind {kind.FriendlyName ?? kind.Value}; make a certificate with an RSA or an ECDSA key");
    }

    private static string? WhyNot(string pem, string key, string certificate) =>
        pem.Contains("-----BEGIN ENCRYPTED PRIVATE KEY-----", StringComparison.Ordinal)
        || pem.Contains("Proc-Type: 4,ENCRYPTED", StringComparison.Ordinal)
            ? $"the key is encrypted; write it without its passphrase: openssl pkey -in {key} -out FILE"
        : !pem.Contains("PRIVATE KEY-----", StringComparison.Ordinal) ? "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
        : IsKey(RSA.Create(), pem) || IsKey(ECDsa.Create(), pem) ? $"the key does not belong to the first certificate in {certificate}"
        : null;

    private static bool IsKey(AsymmetricAlgorithm kind, string pem)
    {
        using (kind)
            try
            {
                kind.ImportFromPem(pem);
                return true;
            }
            catch (Exception failure) when (failure.IsKeyFailure)
            {
                return false;
            }
    }
}
