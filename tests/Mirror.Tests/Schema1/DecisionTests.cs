using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Schema1.SignedText;

namespace Mirror.Tests.Schema1;

/// <summary>Which pushes of schema 1 are taken, beside docker-registry.</summary>
public sealed class DecisionTests : IDisposable
{
    private const string Name = "acme/old";
    private const string Enabled = "compatibility: {schema1: {enabled: true}}\n";

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ECDsa _other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ECDsa _p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
    private readonly ECDsa _p521 = ECDsa.Create(ECCurve.NamedCurves.nistP521);
    private readonly RSA _rsa = RSA.Create(2048);
    private readonly Digest[] _layers = [Digest.Of("layer 1"u8), Digest.Of("layer 2"u8)];

    /// <summary>
    /// What is decided otherwise than by docker-registry. Where that answers 500 UNKNOWN or breaks off, this server says what is wrong.
    /// </summary>
    private static readonly Dictionary<string, string> Deviations = new()
    {
        ["blobSum missing"] = "MANIFEST_INVALID",
        // It could not serve these again, or would serve one as a newer manifest without a config.
        ["schemaVersion 2"] = "MANIFEST_INVALID",
        ["schemaVersion missing"] = "MANIFEST_INVALID",
        // Clients would read these in two ways.
        ["a config as well"] = "MANIFEST_INVALID",
        ["a name twice"] = "MANIFEST_INVALID",
        ["a name in another case"] = "MANIFEST_INVALID",
    };

    public void Dispose()
    {
        _key.Dispose();
        _other.Dispose();
        _p384.Dispose();
        _p521.Dispose();
        _rsa.Dispose();
    }

    [Fact]
    public async Task Each_push_is_decided_as_by_docker_registry()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        await using var docker = await DockerRegistry.StartAsync(more: Enabled);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { More = Enabled });
        var (theirs, ours) = (new RegistryUnderTest(docker.Url), new RegistryUnderTest(mirror.Url));
        foreach (var registry in new[] { theirs, ours })
            foreach (var layer in new[] { "layer 1", "layer 2" })
                await registry.PushBlobAsync(Name, Encoding.UTF8.GetBytes(layer));

        List<string> wrong = [];
        HashSet<string> seen = [];
        foreach (var push in Pushes())
        {
            Assert.True(seen.Add(push.What), push.What);
            var expected = await theirs.PushAsync(Name, push.Reference, push.Body, push.Type);
            var actual = await ours.PushAsync(Name, push.Reference, push.Body, push.Type);
            var isWanted = Deviations.TryGetValue(push.What, out var deviation) ? actual.Code == deviation
                : expected.Code is "UNKNOWN" or RegistryUnderTest.Cut ? actual.Code is "MANIFEST_INVALID" or "MANIFEST_UNVERIFIED"
                : actual.Code == expected.Code;
            if (!isWanted || actual.Status == HttpStatusCode.Created != (actual.Code.Length == 0))
                wrong.Add($"{push.What}: {expected.Status} {expected.Code} there, {actual.Status} {actual.Code} here ({actual.Detail})");
        }
        Assert.True(seen.Count >= 60, $"{seen.Count} pushes");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.Empty(Deviations.Keys.Except(seen));
    }

    [Fact]
    public async Task Without_the_setting_a_push_is_refused_by_its_name()
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var registry = new RegistryUnderTest(mirror.Url);
        foreach (var type in new[] { SignedType, MediaTypes.DockerSchema1, "application/json", null })
        {
            var refused = await registry.PushAsync(Name, "1", Sign(Payload(Name, "1", _layers), _key), type);
            Assert.Equal((HttpStatusCode.BadRequest, "MANIFEST_INVALID"), (refused.Status, refused.Code));
            Assert.Contains("compatibility.schema1.enabled", refused.Detail, StringComparison.Ordinal);
        }
    }

    private IEnumerable<(string What, byte[] Body, string? Type, string Reference)> Pushes() =>
        Signatures().Concat(Payloads()).Concat(Requests());

    private IEnumerable<(string, byte[], string?, string)> Signatures()
    {
        var good = Payload(Name, "1", _layers);
        yield return Of("ES256", Sign(good, _key));
        yield return Of("ES384", Sign(good, _p384));
        yield return Of("ES512", Sign(good, _p521));
        yield return Of("RS256", Sign(good, _rsa));
        yield return Of("two keys", Sign(good, _key, _rsa));
        yield return Of("none", Encoding.UTF8.GetBytes(good));
        yield return Of("empty list", With(good, new JsonArray()));
        yield return Of("null", With(good, null));
        yield return Of("text", With(good, "x"));
        yield return Of("an object", With(good, new JsonObject()));
        yield return Of("signed, then changed", Encoding.UTF8.GetBytes(
            Encoding.UTF8.GetString(Sign(good, _key)).Replace("amd64", "arm64", StringComparison.Ordinal)));
        yield return Two("second bad", Changed(s => s["signature"] = Base64(new byte[64])));
        yield return Two("second of another cut", Signature(good, _key, Set("formatLength", 10)));
        yield return Two("second of another tail", Signature(good, _key, Set("formatTail", "fQ")));

        yield return One("other key", s => s["header"]!["jwk"] = Signature(good, _other)["header"]!["jwk"]!.DeepClone());
        yield return One("signature empty", s => s["signature"] = "");
        yield return One("signature short", s => s["signature"] = Base64(new byte[63]));
        yield return One("signature zero", s => s["signature"] = Base64(new byte[64]));
        yield return One("signature not Base64Url", s => s["signature"] = "*");
        yield return One("signature missing", s => s.Remove("signature"));
        yield return One("signature in DER", s => s["signature"] = Base64(
            _key.SignData(Encoding.UTF8.GetBytes($"{s["protected"]}.{Base64(Encoding.UTF8.GetBytes(good))}"), HashAlgorithmName.SHA256,
                DSASignatureFormat.Rfc3279DerSequence)));
        yield return One("alg none", s => s["header"]!["alg"] = "none");
        yield return One("alg none, unsigned", s => (s["header"]!["alg"], s["signature"]) = ("none", ""));
        yield return One("alg HS256", s => s["header"]!["alg"] = "HS256");
        yield return One("alg of another kind", s => s["header"]!["alg"] = "RS256");
        yield return One("alg of another curve", s => s["header"]!["alg"] = "ES384");
        yield return One("alg missing", s => s["header"]!.AsObject().Remove("alg"));
        yield return One("header missing", s => s.Remove("header"));
        yield return One("header without key", s => s["header"]!.AsObject().Remove("jwk"));
        yield return One("huge header", s => s["header"]!["x"] = new string('x', 1 << 20));
        yield return One("kid of another key", s => s["header"]!["jwk"]!["kid"] = "AAAA:BBBB");
        yield return One("kid missing", s => s["header"]!["jwk"]!.AsObject().Remove("kid"));
        yield return One("unknown curve", s => s["header"]!["jwk"]!["crv"] = "P-192");
        yield return One("symmetric key", s => s["header"]!["jwk"] = new JsonObject { ["kty"] = "oct", ["k"] = "AAAA" });
        yield return One("x short", s => s["header"]!["jwk"]!["x"] = Base64(new byte[16]));
        yield return One("point not on the curve", s => s["header"]!["jwk"]!["x"] = Base64(Enumerable.Repeat((byte)7, 32).ToArray()));
        yield return One("x5c", s => s["header"] = new JsonObject { ["alg"] = "ES256", ["x5c"] = new JsonArray(Certificate(_key)) });
        yield return One("x5c of another key", s => s["header"]!["x5c"] = new JsonArray(Certificate(_other)));
        yield return One("x5c garbage", s => s["header"]!["x5c"] = new JsonArray("AAAA"));
        yield return One("x5c empty", s => s["header"]!["x5c"] = new JsonArray());
        yield return One("protected missing", s => s.Remove("protected"));
        yield return One("protected not JSON", s => s["protected"] = Base64("x"u8));
        yield return One("protected not Base64Url", s => s["protected"] = "*");

        yield return Head("formatLength missing", head => head.Remove("formatLength"));
        yield return Head("formatLength text", Set("formatLength", "x"));
        yield return Head("formatLength negative", Set("formatLength", -1));
        yield return Head("formatLength beyond the end", Set("formatLength", 100_000));
        yield return Head("formatLength short", Set("formatLength", 10));
        yield return Head("formatTail missing", head => head.Remove("formatTail"));
        yield return Head("formatTail not Base64Url", Set("formatTail", "*"));

        JsonObject Changed(Action<JsonObject> change)
        {
            var signature = Signature(good, _key);
            change(signature);
            return signature;
        }

        (string, byte[], string?, string) One(string what, Action<JsonObject> change) =>
            Of(what, With(good, new JsonArray(Changed(change))));

        (string, byte[], string?, string) Two(string what, JsonObject second) =>
            Of(what, With(good, new JsonArray(Signature(good, _key), second)));

        (string, byte[], string?, string) Head(string what, Action<JsonObject> change) =>
            Of(what, With(good, new JsonArray(Signature(good, _key, change))));
    }

    private IEnumerable<(string, byte[], string?, string)> Payloads()
    {
        yield return Body("layer missing", p => p["fsLayers"]![1]!["blobSum"] = Digest.Of("not pushed"u8).ToString());
        yield return Body("blobSum malformed", p => p["fsLayers"]![1]!["blobSum"] = "sha256:x");
        yield return Body("blobSum missing", p => p["fsLayers"]![1] = new JsonObject());
        yield return Body("fsLayers missing", p => p.Remove("fsLayers"));
        yield return Body("fsLayers text", p => p["fsLayers"] = "x");
        yield return Body("history short", p => p["history"]!.AsArray().RemoveAt(0));
        yield return Body("history long", p => p["history"]!.AsArray().Add(new JsonObject { ["v1Compatibility"] = "{}" }));
        yield return Body("history missing", p => p.Remove("history"));
        yield return Body("history of numbers", p => p["history"]![0]!["v1Compatibility"] = 1);
        yield return Body("name of another repository", p => p["name"] = "acme/other");
        yield return Body("name missing", p => p.Remove("name"));
        yield return Body("name empty", p => p["name"] = "");
        yield return Body("name not a name", p => p["name"] = "!!!");
        yield return Body("name too long", p => p["name"] = new string('a', 256));
        yield return Body("tag of another image", p => p["tag"] = "2");
        yield return Body("schemaVersion 2", p => p["schemaVersion"] = 2);
        yield return Body("schemaVersion missing", p => p.Remove("schemaVersion"));
        yield return Body("a config as well", p => p["config"] = new JsonObject());
        var twice = Payload(Name, "1", _layers).Replace("\"tag\"", "\"name\"", StringComparison.Ordinal);
        yield return Of("a name twice", Sign(twice, _key));
        var otherCase = Payload(Name, "1", _layers).Replace("fsLayers", "FSLayers", StringComparison.Ordinal);
        yield return Of("a name in another case", Sign(otherCase, _key));

        (string, byte[], string?, string) Body(string what, Action<JsonObject> change) =>
            Of(what, Sign(Payload(Name, "1", _layers, change), _key));
    }

    private IEnumerable<(string, byte[], string?, string)> Requests()
    {
        var payload = Payload(Name, "1", _layers);
        var good = Sign(payload, _key);
        yield return ("v1+json", good, MediaTypes.DockerSchema1, "1");
        yield return ("v1+json, unsigned", Encoding.UTF8.GetBytes(payload), MediaTypes.DockerSchema1, "1");
        yield return ("application/json", good, "application/json", "1");
        yield return ("no type", good, null, "1");
        yield return ("with a parameter", good, SignedType + "; charset=utf-8", "1");
        yield return ("truncated", good[..^20], SignedType, "1");
        yield return ("not JSON", "x"u8.ToArray(), SignedType, "1");
        yield return ("empty", [], SignedType, "1");
        yield return ("by its digest", good, SignedType, Digest.Of(Encoding.UTF8.GetBytes(payload)).ToString());
        yield return ("by the digest of the signed bytes", good, SignedType, Digest.Of(good).ToString());
    }

    private static (string, byte[], string?, string) Of(string what, byte[] body) => (what, body, SignedType, "1");

    private static Action<JsonObject> Set(string name, JsonNode value) => head => head[name] = value;

    private static JsonNode Certificate(ECDsa key)
    {
        var request = new CertificateRequest("CN=old", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        return Convert.ToBase64String(certificate.RawData);
    }
}
