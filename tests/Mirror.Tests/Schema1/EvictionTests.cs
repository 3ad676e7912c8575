using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;
using static Mirror.Tests.Schema1.SignedText;

namespace Mirror.Tests.Schema1;

/// <summary><c>proxy.max_size</c> evicts mirrored images of schema 1 with their layers.</summary>
public sealed class EvictionTests
{
    private const int Size = 400_000;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_mirrored_image_of_schema_1_goes_as_a_whole_and_comes_back()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await using var docker = await DockerRegistry.StartAsync(more: "compatibility: {schema1: {enabled: true}}\n");
        var upstream = new RegistryUnderTest(docker.Url);
        var layers = Enumerable.Range(0, 4).Select(i => HubBlob.Seeded(i, Size).Slice(0, Size)).ToList();
        foreach (var (i, layer) in layers.Index())
        {
            await upstream.PushBlobAsync(Name(i), layer);
            var manifest = Sign(Payload(Name(i), "1", [Digest.Of(layer)]), key);
            Assert.Equal(HttpStatusCode.Created, (await upstream.PushAsync(Name(i), "1", manifest)).Status);
        }
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = docker.Url,
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "1MiB" },
        });

        for (var i = 0; i < layers.Count; i++)
            await PullAsync(mirror, i, layers[i]);

        await Until.TrueAsync(() => !IsStored(mirror, layers[0]), () => string.Join('\n', mirror.Log));
        Assert.True(IsStored(mirror, layers[^1]));
        Assert.Equal(0, (await mirror.RunAsync("verify")).Code);
        await PullAsync(mirror, 0, layers[0]);
    }

    [Fact]
    public async Task HEAD_of_a_tag_that_is_not_cached_chooses_what_GET_does()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        const string enabled = "compatibility: {schema1: {enabled: true}}\n";
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await using var docker = await DockerRegistry.StartAsync(more: enabled);
        var upstream = new RegistryUnderTest(docker.Url);
        string?[] accepts =
        [
            null, "*/*", SignedType, MediaTypes.DockerSchema1, "application/json", MediaTypes.DockerManifest, MediaTypes.OciManifest,
            MediaTypes.OciIndex, $"{MediaTypes.DockerManifest}, {MediaTypes.DockerManifestList}", $"{SignedType}, {MediaTypes.OciIndex}",
        ];
        foreach (var i in Enumerable.Range(0, accepts.Length))
            foreach (var side in new[] { "head", "get" })
            {
                var layer = await upstream.PushBlobAsync($"acme/{side}{i}", "layer"u8.ToArray());
                var manifest = Sign(Payload($"acme/{side}{i}", "1", [layer]), key);
                Assert.Equal(HttpStatusCode.Created, (await upstream.PushAsync($"acme/{side}{i}", "1", manifest)).Status);
            }
        await using var mirror = await MirrorProcess.StartAsync(docker.Url);
        await using var converting = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = docker.Url, More = enabled });

        List<string> wrong = [];
        foreach (var registry in new[] { new RegistryUnderTest(mirror.Url), new RegistryUnderTest(converting.Url) })
            foreach (var (i, accept) in accepts.Index())
            {
                var cold = await registry.GetAsync($"acme/head{i}", "1", accept, head: true);
                var warm = await registry.GetAsync($"acme/head{i}", "1", accept);
                var get = await registry.GetAsync($"acme/get{i}", "1", accept);
                if ((cold.Status, cold.Type, cold.Digest) != (warm.Status, warm.Type, warm.Digest)
                    || (cold.Status, cold.Type) != (get.Status, get.Type))
                    wrong.Add($"{accept}: HEAD {cold.Status} {cold.Type} {cold.Digest}, then GET {warm.Status} {warm.Type} {warm.Digest}; "
                        + $"GET alone {get.Status} {get.Type}");
            }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    private static string Name(int i) => $"acme/old{i}";

    private static bool IsStored(MirrorProcess mirror, byte[] layer)
    {
        var hex = Digest.Of(layer).Hex;
        return File.Exists(Path.Combine(mirror.Root, "docker/registry/v2/blobs/sha256", hex[..2], hex, "data"));
    }

    private static async Task PullAsync(MirrorProcess mirror, int i, byte[] layer)
    {
        var (status, type, _, body) = await new RegistryUnderTest(mirror.Url).GetAsync(Name(i), "1", SignedType);
        Assert.Equal((HttpStatusCode.OK, SignedType), (status, type));
        var sum = (string?)JsonNode.Parse(body)!["fsLayers"]![0]!["blobSum"];
        Assert.Equal(Digest.Of(layer).ToString(), sum);
        using var blob = await mirror.GetAsync($"{Name(i)}/blobs/{sum}");
        Assert.Equal(layer, await blob.Content.ReadAsByteArrayAsync(Cancel));
        await mirror.UntilStoredAsync($"{Name(i)}/blobs/{sum}");
    }
}
