using System.Security.Cryptography;
using System.Text;

namespace Mirror.Redirects;

/// <summary>Signs addresses for CloudFront ("Create a signed URL using a canned policy" in its guide for developers).</summary>
public sealed class CloudFrontSigner
{
    private readonly RSA _key = RSA.Create();
    private readonly Lock _gate = new();
    private readonly string _keyPairId;

    /// <param name="key">An RSA key in PEM, of PKCS#1 or PKCS#8; or the path of a file with it.</param>
    /// <param name="keyPairId">The name that CloudFront has for the key.</param>
    /// <exception cref="CryptographicException">It is no such key.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public CloudFrontSigner(string key, string keyPairId)
    {
        _keyPairId = keyPairId;
        // A variable of the environment has no line breaks.
        var pem = IsPem(key) ? key.Replace("\\n", "\n", StringComparison.Ordinal) : File.ReadAllText(key);
        try
        {
            _key.ImportFromPem(pem);
        }
        catch (ArgumentException bad)
        {
            throw new CryptographicException("holds no RSA key in PEM form (-----BEGIN RSA PRIVATE KEY-----)", bad);
        }
    }

    /// <summary>Whether a setting is the key itself, and not a path.</summary>
    public static bool IsPem(string key) => key.Contains("-----BEGIN", StringComparison.Ordinal);

    /// <summary>An address that CloudFront serves until a time.</summary>
    public Uri Sign(string url, DateTimeOffset until)
    {
        var expires = until.ToUnixTimeSeconds();
        var policy =
            $$$$"""{"Statement":[{"Resource":"{{{{url}}}}","Condition":{"DateLessThan":{"AWS:EpochTime":{{{{expires}}}}}}}]}""";
        byte[] signature;
        // No key of .NET promises that several threads may use it at once.
        lock (_gate)
#pragma warning disable CA5350 // CloudFront accepts no other hash.
            signature = _key.SignData(Encoding.UTF8.GetBytes(policy), HashAlgorithmName.SHA1, RSASignaturePadding.Pkcs1);
#pragma warning restore CA5350
        var text = Convert.ToBase64String(signature).Replace('+', '-').Replace('=', '_').Replace('/', '~');
        return new Uri($"{url}?Expires={expires}&Signature={text}&Key-Pair-Id={Uri.EscapeDataString(_keyPairId)}");
    }
}
