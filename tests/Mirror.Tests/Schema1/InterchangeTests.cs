using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mirror.Hosting;
using Mirror.Storage;
using Mirror.Tests.Configuration;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Schema1.SignedText;

namespace Mirror.Tests.Schema1;

/// <summary>Images of schema 1 on one disk and across a pull, written and read by docker-registry and by this server.</summary>
public sealed class InterchangeTests
{
    private const string Name = "acme/old";
    private const string Enabled = "compatibility: {schema1: {enabled: true}}\n";
    private const string Schema2 = MediaTypes.DockerManifest;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_docker_registry_stored_is_served_signed_kept_by_sweeps_listed_and_mirrored()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        await using var docker = await DockerRegistry.StartAsync(more: Enabled);
        var payload = await PushAsync(new(docker.Url));
        var digest = Digest.Of(payload).ToString();

        // 1. Passed on from upstream: the same bytes once, and the same digest always.
        await using (var cache = await MirrorProcess.StartAsync(docker.Url))
            foreach (var reference in new[] { "1", digest, "1" })
                AssertServed(payload, await new RegistryUnderTest(cache.Url).GetAsync(Name, reference, Schema2));
        await docker.StopAsync();

        // 2. From its disk, without the setting.
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = docker.Root, Hosted = null });
        var registry = new RegistryUnderTest(mirror.Url);
        foreach (var reference in new[] { "1", digest })
            foreach (var accept in new[] { null, "*/*", Schema2, SignedType })
                AssertServed(payload, await registry.GetAsync(Name, reference, accept));
        var (status, type, said, _) = await registry.GetAsync(Name, "1", head: true);
        Assert.Equal((HttpStatusCode.OK, SignedType, digest), (status, type, said));

        // 3. The sweep keeps it with its layers, and the list has it.
        Assert.Contains("0 blobs and 0 manifests eligible", await mirror.CollectAsync("-m"), StringComparison.Ordinal);
        Assert.Equal(0, (await mirror.RunAsync("verify")).Code);
        string[] list = [MirrorProcess.Program, "schema1", "list", mirror.ConfigFile];
        var listed = JsonNode.Parse(await PeerProcess.RunAsync("dotnet", [.. list, "--json"]))!;
        Assert.Equal((Name, "1", digest, 2),
            ((string?)listed["repository"], (string?)listed["tag"], (string?)listed["digest"], (int)listed["layers"]!));
        Assert.Contains("skopeo copy", await PeerProcess.RunAsync("dotnet", list), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Docker_registry_serves_what_was_pushed_here_with_a_key_of_its_own()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        using var folder = new TempFolder();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var file = folder.Write("key.pem", key.ExportECPrivateKeyPem());
        await using var docker = await DockerRegistry.StartAsync(more: Enabled);
        await docker.StopAsync();
        var settings = new MirrorSettings
        {
            Root = docker.Root,
            Hosted = null,
            More = $"compatibility: {{schema1: {{enabled: true, signingkeyfile: {file}}}}}\n",
        };
        byte[] payload;
        await using (var mirror = await MirrorProcess.StartAsync(settings))
        {
            payload = await PushAsync(new(mirror.Url));
            var (_, _, _, body) = await new RegistryUnderTest(mirror.Url).GetAsync(Name, "1");
            var jwk = JsonNode.Parse(body)!["signatures"]![0]!["header"]!["jwk"]!;
            Assert.Equal(Base64(key.ExportParameters(false).Q.X), (string?)jwk["x"]);
        }

        await docker.CollectAsync();
        await docker.StartAgainAsync();
        foreach (var reference in new[] { "1", Digest.Of(payload).ToString() })
            AssertServed(payload, await new RegistryUnderTest(docker.Url).GetAsync(Name, reference));
        await AssertBlobsAsync(docker.Url, payload);
    }

    [Fact]
    public void A_file_without_a_private_key_is_a_mistake()
    {
        using var folder = new TempFolder();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        foreach (var (text, isTaken) in new[]
        {
            (key.ExportECPrivateKeyPem(), true), (key.ExportPkcs8PrivateKeyPem(), true), (Jwk(key), true),
            (key.ExportSubjectPublicKeyInfoPem(), false), ("{}", false), ("x", false),
        })
        {
            var file = folder.Write("key", text);
            var loaded = ConfigurationText.Load($"version: 0.1\ncompatibility: {{schema1: {{trustkey: {file}}}}}\n");
            Assert.Equal(isTaken ? 0 : 1, SettingFiles.Mistakes(loaded.Options)
                .Count(mistake => mistake.StartsWith("compatibility.schema1.signingkeyfile: ", StringComparison.Ordinal)));
        }
    }

    [Fact]
    public async Task Old_clients_get_the_images_of_tags_converted_as_by_docker_registry()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        await using var docker = await DockerRegistry.StartAsync(more: Enabled);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { More = Enabled });
        await using var cache = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = docker.Url, More = Enabled });
        var (theirs, ours) = (new RegistryUnderTest(docker.Url), new RegistryUnderTest(mirror.Url));
        var cached = new RegistryUnderTest(cache.Url);
        List<(string Tag, byte[] Manifest)> images = [];
        foreach (var (i, config) in Configs().Index())
        {
            byte[] image = [];
            foreach (var registry in new[] { theirs, ours })
                image = await PushImageAsync(registry, $"t{i}", config);
            images.Add(($"t{i}", image));
        }
        // A list with an image for old clients.
        var list = ManifestText.Index(new ImageTypes(Oci: false), images[..2].Select((image, i) =>
            (Digest.Of(image.Manifest), (long)image.Manifest.Length, i == 0 ? "arm64" : "amd64")));
        foreach (var registry in new[] { theirs, ours })
            Assert.Equal(HttpStatusCode.Created, (await registry.PushAsync(Name, "list", list, MediaTypes.DockerManifestList)).Status);

        foreach (var tag in images.Select(image => image.Tag).Append("list"))
            foreach (var accept in new[] { null, "*/*", SignedType, "application/json" })
            {
                var expected = await theirs.GetAsync(Name, tag, accept);
                Assert.Equal(HttpStatusCode.OK, expected.Status);
                foreach (var registry in new[] { ours, cached })
                {
                    var actual = await registry.GetAsync(Name, tag, accept);
                    Assert.Equal((expected.Type, expected.Digest), (actual.Type, actual.Digest));
                    Assert.Equal(PayloadOf(expected.Body), PayloadOf(actual.Body));
                    Assert.Equal(expected.Digest, Digest.Of(Encoding.UTF8.GetBytes(PayloadOf(actual.Body))).ToString());
                    var head = await registry.GetAsync(Name, tag, accept, head: true);
                    Assert.Equal((actual.Type, actual.Digest), (head.Type, head.Digest));
                }
            }
        // By digest never, and for a client of today never.
        foreach (var (tag, manifest) in images)
        {
            Assert.Equal(manifest, (await ours.GetAsync(Name, Digest.Of(manifest).ToString())).Body);
            Assert.Equal(manifest, (await ours.GetAsync(Name, tag, $"{SignedType}, {Schema2}")).Body);
        }
        Assert.Equal("sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4", Digest.Of(
            await Http.Client.GetByteArrayAsync(new Uri(mirror.Url,
                $"/v2/{Name}/blobs/sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"), Cancel)).ToString());
    }

    [Fact]
    public async Task Skopeo_pushes_schema_1_and_makes_schema_2_of_it()
    {
        MirrorProcess.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { More = Enabled });
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(TestImage.Create(seed: 70, layers: 2), $"{mirror.Authority}/acme/new:1");
        string[] options = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false", "-q", "--format"];
        await skopeo.RunAsync([.. options, "v2s1", $"docker://{mirror.Authority}/acme/new:1", $"docker://{mirror.Authority}/{Name}:1"]);
        var registry = new RegistryUnderTest(mirror.Url);
        Assert.Equal(SignedType, (await registry.GetAsync(Name, "1", Schema2)).Type);
        await skopeo.RunAsync([.. options, "v2s2", $"docker://{mirror.Authority}/{Name}:1", $"docker://{mirror.Authority}/{Name}:1"]);
        Assert.Equal(Schema2, (await registry.GetAsync(Name, "1", Schema2)).Type);
    }

    // Configs in which every difference of Go's JSON from .NET's can be seen.
    private static IEnumerable<(string Config, int Layers)> Configs()
    {
        const string two = """ "rootfs":{"type":"layers","diff_ids":["sha256:a","sha256:b"]} """;
        yield return ($$"""
            {"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{"Cmd":["a", "<b> & \u2028c"]}, {{two}},
             "history":[{"created":"2024-01-01T00:00:00.120Z","created_by":"/bin/sh -c echo \"<x>\" && true\n\té 😀 \u2028 \\"},
              {"created":"2024-01-01T00:00:01+00:00","created_by":"ENV","empty_layer":true,"author":"A <a@b>"},
              {"created":"2024-01-01T00:00:02.000000001+02:00","comment":"last one"}]}
            """, 2);
        yield return ($$"""
            { "zeta" : null , "architecture":"amd64","config":{ "Labels" : {"b":"2","a":"1\\\" x"} }, "Alpha":[1 , 2.50, -1e3], {{two}},
             "history":[{},{"empty_layer":false},{"empty_layer":true,"created":null}]}
            """, 2);
        yield return ("""{"rootfs":{"type":"layers","diff_ids":["sha256:a"]},"history":[{"created_by":"only"}]}""", 1);
        yield return ("""
            {"rootfs":{"type":"layers+base","diff_ids":["sha256:a"],"base_layer":"windows"},
             "history":[{"created_by":"x"},{"empty_layer":true}]}
            """, 1);
    }

    private static async Task<byte[]> PushImageAsync(RegistryUnderTest registry, string tag, (string Config, int Layers) image)
    {
        var config = Encoding.UTF8.GetBytes(image.Config);
        await registry.PushBlobAsync(Name, config);
        List<(Digest, long)> layers = [];
        for (var i = 0; i < image.Layers; i++)
        {
            var layer = Encoding.UTF8.GetBytes($"{tag} layer {i}");
            layers.Add((await registry.PushBlobAsync(Name, layer), layer.Length));
        }
        var manifest = ManifestText.Image(new ImageTypes(Oci: false), (Digest.Of(config), config.Length), layers);
        Assert.Equal(HttpStatusCode.Created, (await registry.PushAsync(Name, tag, manifest, Schema2)).Status);
        return manifest;
    }

    private static async Task<byte[]> PushAsync(RegistryUnderTest registry)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        List<Digest> layers = [];
        foreach (var layer in new[] { "layer 1", "layer 2" })
            layers.Add(await registry.PushBlobAsync(Name, Encoding.UTF8.GetBytes(layer)));
        var payload = Payload(Name, "1", layers);
        Assert.Equal(HttpStatusCode.Created, (await registry.PushAsync(Name, "1", Sign(payload, key))).Status);
        return Encoding.UTF8.GetBytes(payload);
    }

    private static void AssertServed(byte[] payload, (HttpStatusCode Status, string Type, string Digest, byte[] Body) answer)
    {
        Assert.Equal((HttpStatusCode.OK, SignedType, Digest.Of(payload).ToString()), (answer.Status, answer.Type, answer.Digest));
        Assert.Equal(Encoding.UTF8.GetString(payload), PayloadOf(answer.Body));
    }

    private static async Task AssertBlobsAsync(Uri registry, byte[] payload)
    {
        foreach (var layer in JsonNode.Parse(payload)!["fsLayers"]!.AsArray().Select(layer => (string)layer!["blobSum"]!))
        {
            var blob = await Http.Client.GetByteArrayAsync(new Uri(registry, $"/v2/{Name}/blobs/{layer}"), Cancel);
            Assert.Equal(layer, Digest.Of(blob).ToString());
        }
    }

    /// <summary>What the one signature of a manifest signs, verified.</summary>
    private static string PayloadOf(byte[] signed)
    {
        using var json = JsonDocument.Parse(signed);
        var signature = json.RootElement.GetProperty("signatures").EnumerateArray().Single();
        var protectedPart = signature.GetProperty("protected").GetString()!;
        using var head = JsonDocument.Parse(Bytes(protectedPart));
        byte[] payload =
        [
            .. signed[..head.RootElement.GetProperty("formatLength").GetInt32()],
            .. Bytes(head.RootElement.GetProperty("formatTail").GetString()),
        ];
        var jwk = signature.GetProperty("header").GetProperty("jwk");
        using var key = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new() { X = Bytes(jwk.GetProperty("x").GetString()), Y = Bytes(jwk.GetProperty("y").GetString()) },
        });
        Assert.True(key.VerifyData(
            Encoding.ASCII.GetBytes($"{protectedPart}.{Base64(payload)}"), Bytes(signature.GetProperty("signature").GetString()),
            HashAlgorithmName.SHA256));
        return Encoding.UTF8.GetString(payload);

        static byte[] Bytes(string? text) => System.Buffers.Text.Base64Url.DecodeFromChars(text);
    }

    private static string Jwk(ECDsa key)
    {
        var numbers = key.ExportParameters(true);
        return $$"""{"kty":"EC","crv":"P-256","x":"{{Base64(numbers.Q.X)}}","y":"{{Base64(numbers.Q.Y)}}","d":"{{Base64(numbers.D)}}"}""";
    }
}
