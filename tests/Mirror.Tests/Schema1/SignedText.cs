using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Mirror.Storage;
using Mirror.Tls;

namespace Mirror.Tests.Schema1;

/// <summary>Manifests of schema 1, written and signed by the tests' own means.</summary>
internal static class SignedText
{
    public const string SignedType = "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// <summary>The payload, as Docker wrote it: three blanks of indent.</summary>
    public static string Payload(string name, string tag, IEnumerable<Digest> layers, Action<JsonObject>? change = null)
    {
        Digest[] all = [.. layers];
        var payload = new JsonObject
        {
            ["schemaVersion"] = 1,
            ["name"] = name,
            ["tag"] = tag,
            ["architecture"] = "amd64",
            ["fsLayers"] = new JsonArray([.. all.Select(layer => new JsonObject { ["blobSum"] = layer.ToString() })]),
            ["history"] = new JsonArray([.. all.Select((layer, i) =>
                new JsonObject { ["v1Compatibility"] = $$"""{"id":"{{layer.Hex}}","created":"2015-01-0{{i + 1}}T00:00:00Z"}""" })]),
        };
        change?.Invoke(payload);
        return payload.ToJsonString(new() { WriteIndented = true, IndentSize = 3, NewLine = "\n" });
    }

    /// <summary>One entry of <c>signatures</c>.</summary>
    public static JsonObject Signature(string payload, AsymmetricAlgorithm key, Action<JsonObject>? changeHead = null)
    {
        var cut = payload.LastIndexOf('}');
        while (char.IsWhiteSpace(payload[cut - 1]))
            cut--;
        var head = new JsonObject
        {
            ["formatLength"] = Encoding.UTF8.GetByteCount(payload[..cut]),
            ["formatTail"] = Base64(Encoding.UTF8.GetBytes(payload[cut..])),
            ["time"] = DateTimeOffset.UnixEpoch.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        };
        changeHead?.Invoke(head);
        var protectedPart = Base64(Encoding.UTF8.GetBytes(head.ToJsonString()));
        var (algorithm, hash) = Algorithm(key);
        var signed = Encoding.UTF8.GetBytes($"{protectedPart}.{Base64(Encoding.UTF8.GetBytes(payload))}");
        var signature = key is RSA rsa ? rsa.SignData(signed, hash, RSASignaturePadding.Pkcs1) : ((ECDsa)key).SignData(signed, hash);
        return new JsonObject
        {
            ["header"] = new JsonObject { ["jwk"] = Jwk(key), ["alg"] = algorithm },
            ["signature"] = Base64(signature),
            ["protected"] = protectedPart,
        };
    }

    /// <summary>The payload with its signatures in it.</summary>
    public static byte[] With(string payload, JsonNode? signatures)
    {
        var cut = payload.LastIndexOf('}');
        return Encoding.UTF8.GetBytes($"{payload[..cut].TrimEnd()},\n   \"signatures\": {signatures?.ToJsonString() ?? "null"}\n}}");
    }

    public static byte[] Sign(string payload, params AsymmetricAlgorithm[] keys) =>
        With(payload, new JsonArray([.. keys.Select(key => Signature(payload, key))]));

    public static string Base64(ReadOnlySpan<byte> bytes) => Base64Url.EncodeToString(bytes);

    private static (string Name, HashAlgorithmName Hash) Algorithm(AsymmetricAlgorithm key) => key is RSA
        ? ("RS256", HashAlgorithmName.SHA256)
        : key.KeySize switch
        {
            256 => ("ES256", HashAlgorithmName.SHA256),
            384 => ("ES384", HashAlgorithmName.SHA384),
            _ => ("ES512", HashAlgorithmName.SHA512),
        };

    private static JsonObject Jwk(AsymmetricAlgorithm key)
    {
        var kid = KeyNames.Of(key).First();
        if (key is RSA rsa)
        {
            var numbers = rsa.ExportParameters(false);
            return new() { ["e"] = Base64(numbers.Exponent), ["kid"] = kid, ["kty"] = "RSA", ["n"] = Base64(numbers.Modulus) };
        }
        var point = ((ECDsa)key).ExportParameters(false).Q;
        return new() { ["crv"] = $"P-{key.KeySize}", ["kid"] = kid, ["kty"] = "EC", ["x"] = Base64(point.X), ["y"] = Base64(point.Y) };
    }
}
