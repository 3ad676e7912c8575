using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using Mirror.Configuration;
using Mirror.Tls;

namespace Mirror.Access;

/// <summary>
/// The keys that may sign tokens, from the files of <c>auth.token</c>: read once. A token's header chooses one, in the order of
/// <c>registry:2</c>: <c>x5c</c>, <c>jwk</c>, <c>kid</c>. The server trusts no key of the header as such: a <c>jwk</c> must be one of the
/// trusted keys, and a chain in <c>x5c</c> must lead to a trusted certificate. It requests no address in the header.
/// </summary>
internal sealed class TrustedKeys
{
    private const int MaxChain = 10;

    private readonly X509Certificate2Collection _roots = [];
    private readonly Dictionary<string, SecurityKey> _byName = [];
    private readonly TimeProvider _time;

    /// <exception cref="IOException">A file cannot be read, or holds no key that can be used.</exception>
    public TrustedKeys(TokenOptions options, TimeProvider time)
    {
        _time = time;
        try
        {
            if (options.RootCertBundle is { } bundle)
                _roots.ImportFromPemFile(bundle);
            foreach (var root in _roots)
                Add(Known.Of(root), null);
            if (options.Jwks is { } file)
                foreach (var key in new JsonWebKeySet(File.ReadAllText(file)).Keys)
                    Add(Known.Of(KeyNames.ToPublicKey(key), Ed25519Key.Of(key)), key.Kid);
        }
        catch (Exception failure) when (failure.IsJwkFailure || failure is JsonException)
        {
            throw new IOException($"auth.token: a file of keys cannot be read: {failure.Message}", failure);
        }
        if (_byName.Count == 0)
            throw new IOException("auth.token: rootcertbundle and jwks hold no RSA or EC key, and none of Ed25519");
    }

    /// <summary>The key that the header of a token asks for; null if it is not trusted.</summary>
    public SecurityKey? Choose(JsonElement header)
    {
        if (Member(header, "x5c") is { } chain)
            return KeyOfChain(chain);
        if (Member(header, "jwk") is { } jwk)
        {
            if (jwk.ValueKind is not JsonValueKind.Object || KeyNames.OfJwk(jwk) is not { } name)
                return null;
            // The certificate, or else the kid, must be of this very key.
            if (Member(jwk, "x5c") is { } inner)
                return KeyOfChain(inner) is { } leaf && leaf.KeyId == name ? leaf : null;
            var key = _byName.GetValueOrDefault(name);
            return Member(jwk, "kid") is { } id && Named(id) != key ? null : key;
        }
        return Member(header, "kid") is { } kid ? Named(kid) : null;
    }

    private SecurityKey? Named(JsonElement kid) =>
        kid.ValueKind is JsonValueKind.String ? _byName.GetValueOrDefault(kid.GetString()!) : null;

    private static JsonElement? Member(JsonElement json, string name) =>
        json.TryGetProperty(name, out var member) && member.ValueKind is not JsonValueKind.Null ? member : null;

    private void Add(Known? known, string? nameInFile)
    {
        if (known is null)
            return;
        foreach (var name in known.Names)
            _byName.TryAdd(name, known.Key);
        if (!string.IsNullOrEmpty(nameInFile))
            _byName.TryAdd(nameInFile, known.Key);
    }

    /// <summary>The key of the first certificate, if the others lead from it to one of ours.</summary>
    private SecurityKey? KeyOfChain(JsonElement x5c)
    {
        X509Certificate2Collection sent = [];
        try
        {
            if (x5c.ValueKind is not JsonValueKind.Array || x5c.GetArrayLength() is 0 or > MaxChain)
                return null;
            foreach (var certificate in x5c.EnumerateArray())
                sent.Add(X509CertificateLoader.LoadCertificate(certificate.GetBytesFromBase64()));
            return Issued(sent) ? Known.Of(sent[0])?.AsSent() : null;
        }
        catch (Exception malformed) when (malformed.IsJwkFailure || malformed is InvalidOperationException)
        {
            return null;
        }
    }

    private bool Issued(X509Certificate2Collection sent)
    {
        using var chain = new X509Chain();
        var policy = chain.ChainPolicy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(_roots);
        policy.ExtraStore.AddRange(sent);
        policy.RevocationMode = X509RevocationMode.NoCheck;
        policy.DisableCertificateDownloads = true;
        policy.VerificationTime = _time.GetLocalNow().DateTime;
        // A certificate of the bundle is an end of a chain, whether or not another one issued it.
        policy.VerificationFlags = X509VerificationFlags.AllowUnknownCertificateAuthority;
        return chain.Build(sent[0]) && chain.ChainElements.Any(element => IsRoot(element.Certificate));
    }

    // Byte for byte: Equals compares only issuer and serial number, which the sender of a chain chooses.
    private bool IsRoot(X509Certificate2 certificate) =>
        _roots.Any(root => root.RawDataMemory.Span.SequenceEqual(certificate.RawDataMemory.Span));

    /// <summary>A key, its name by RFC 7638, and all its names.</summary>
    private sealed record Known(SecurityKey Key, string Thumbprint, IReadOnlyList<string> Names)
    {
        public static Known? Of(X509Certificate2 certificate) => Of(
            certificate.GetRSAPublicKey() ?? (AsymmetricAlgorithm?)certificate.GetECDsaPublicKey(), Ed25519Key.Of(certificate));

        /// <summary>From the argument that is not null; null if both are.</summary>
        public static Known? Of(AsymmetricAlgorithm? key, Ed25519Key? edwards)
        {
            if (key is null)
                return edwards is null ? null : new(edwards, edwards.Name, [edwards.Name]);
            string[] names = [.. KeyNames.Of(key)];
            return new(KeyNames.ToSecurityKey(key), names[1], names);
        }

        /// <summary>Prepares the key of a header's certificate, which is used for one token only.</summary>
        public SecurityKey AsSent()
        {
            Key.KeyId = Thumbprint;
            // Clients can send any number of such certificates, so the library must not cache their keys.
            if (Key is not Ed25519Key)
                Key.CryptoProviderFactory = new CryptoProviderFactory { CacheSignatureProviders = false };
            return Key;
        }
    }
}
