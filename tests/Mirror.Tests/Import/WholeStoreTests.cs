using System.IO.Compression;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Import;

/// <summary>
/// A whole storage of docker-registry 0.x, imported by a run that was killed and by another one, and pulled by containerd; with
/// <c>MIRROR_TESTS=full</c> 50 images, pulled by Docker and skopeo as well.
/// </summary>
public sealed class WholeStoreTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly V1Storage _old;
    private readonly List<(string Name, string Tag, string Id)> _images = [];

    public WholeStoreTests()
    {
        MirrorProcess.Availability.OrSkip();
        _old = new V1Storage(_folder.Folder("old"));
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Engines_pull_every_image_with_the_layers_and_the_settings_that_it_had()
    {
        Containerd.Availability.OrSkip();
        AddImages(Figures.Count(4, 50));
        var before = _old.Files();
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());
        string[] import = [MirrorProcess.Program, "import-v1", _old.Root, registry.ConfigFile];

        await using (var killed = PeerProcess.Start("dotnet", import))
        {
            await Until.TrueAsync(
                () => killed.Lines.Count(line => line.Contains(": sha256:", StringComparison.Ordinal)) >= _images.Count / 3,
                () => killed.Output);
            await killed.KillAsync();
        }
        Assert.Contains($"{_images.Count} images are imported, 0 are not", await PeerProcess.RunAsync("dotnet", import));

        Assert.Equal(before, _old.Files());
        await using (var containerd = await Containerd.StartAsync(registry.Url, registry.Authority))
            foreach (var (name, tag, id) in _images)
            {
                await containerd.PullAsync($"{registry.Authority}/{name}:{tag}");
                await AssertImageAsync(registry, name, tag, id, digest => containerd.RunAsync("content", "get", digest));
            }
        if (Figures.Full)
        {
            await PullByDockerAsync(registry);
            await PullBySkopeoAsync(registry);
        }
    }

    // Chains of one to eight layers, of which some share their base.
    private void AddImages(int count)
    {
        var bases = Enumerable.Range(0, 4).Select(i => Add(null, $"base {i}")).ToList();
        for (var i = 0; i < count; i++)
        {
            var id = bases[i % bases.Count];
            for (var depth = 0; depth < i % 8; depth++)
                id = Add(id, $"image {i} step {depth}");
            var (name, tag) = ($"team/app{i % 7}", $"t{i}");
            _old.Tag(name, tag, id);
            _images.Add((name, tag, id));
        }

        string Add(string? parent, string step) => _old.AddImage(
            parent, step, new Dictionary<string, string> { [$"srv/{step}"] = $"{step} {new string('x', 20_000)}" },
            isCompressed: step.Length % 2 == 0);
    }

    /// <summary>Compares the manifest, the config and the layers that the registry has with the files of the old storage.</summary>
    /// <param name="content">What a client stored under a digest, as text.</param>
    private async Task AssertImageAsync(MirrorProcess registry, string name, string tag, string id, Func<string, Task<string>> content)
    {
        using var answer = await registry.GetAsync($"{name}/manifests/{tag}");
        using var manifest = JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(Cancel));
        using var config = JsonDocument.Parse(await content(DigestOf(manifest.RootElement.GetProperty("config"))));
        string[] ancestry = [.. _old.Ancestry(id).Reverse()];
        Assert.Equal(
            ancestry.Select(image => Digest.Of(Plain(_old.LayerOf(image))).ToString()),
            config.RootElement.GetProperty("rootfs").GetProperty("diff_ids").EnumerateArray().Select(layer => layer.GetString()!));
        foreach (var (image, layer) in ancestry.Zip(manifest.RootElement.GetProperty("layers").EnumerateArray()))
        {
            // What a client has verified against its digest.
            using var stored = await registry.GetAsync($"{name}/blobs/{DigestOf(layer)}");
            Assert.Equal(Plain(_old.LayerOf(image)), Plain(await stored.Content.ReadAsByteArrayAsync(Cancel)));
            Assert.NotEmpty(await content(DigestOf(layer)));
        }
        using var json = JsonDocument.Parse(await File.ReadAllTextAsync(_old.PathOf(id, "json"), Cancel));
        Assert.True(JsonElement.DeepEquals(json.RootElement.GetProperty("config"), config.RootElement.GetProperty("config")));
        Assert.Equal(
            ancestry.Select(StepOf), config.RootElement.GetProperty("history").EnumerateArray()
                .Select(step => (step.GetProperty("created_by").GetString(), step.GetProperty("comment").GetString())));
    }

    private async Task PullByDockerAsync(MirrorProcess registry)
    {
        Dockerd.Availability.OrSkip();
        await using var dockerd = await Dockerd.StartAsync(registry.Url);
        foreach (var (name, tag, id) in _images)
        {
            var image = $"{registry.Authority}/{name}:{tag}";
            await dockerd.PullAsync(image);
            using var json = JsonDocument.Parse(await File.ReadAllTextAsync(_old.PathOf(id, "json"), Cancel));
            using var shown = JsonDocument.Parse(await dockerd.RunAsync("inspect", image));
            foreach (var key in new[] { "Cmd", "Env", "Entrypoint" })
                Assert.True(JsonElement.DeepEquals(
                    json.RootElement.GetProperty("config").GetProperty(key), shown.RootElement[0].GetProperty("Config").GetProperty(key)));
            Assert.Equal(
                _old.Ancestry(id).Reverse().Select(layer => Digest.Of(Plain(_old.LayerOf(layer))).ToString()),
                shown.RootElement[0].GetProperty("RootFS").GetProperty("Layers").EnumerateArray().Select(layer => layer.GetString()!));
            var history = await dockerd.RunAsync("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", image);
            Assert.Equal(
                _old.Ancestry(id).Select(StepOf).Select(step => $"{step.Command}|{step.Comment}"),
                history.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }
    }

    private async Task PullBySkopeoAsync(MirrorProcess registry)
    {
        Skopeo.Availability.OrSkip();
        foreach (var (name, tag, id) in _images)
        {
            using var skopeo = new Skopeo();
            var pulled = await skopeo.PullAsync($"{registry.Authority}/{name}:{tag}");
            await AssertImageAsync(
                registry, name, tag, id, digest => File.ReadAllTextAsync(Path.Combine(pulled, digest.Split(':')[1]), Cancel));
        }
    }

    private (string? Command, string? Comment) StepOf(string image)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(_old.PathOf(image, "json")));
        var command = json.RootElement.GetProperty("container_config").GetProperty("Cmd").EnumerateArray().Select(word => word.GetString());
        return (string.Join(' ', command), json.RootElement.GetProperty("comment").GetString());
    }

    private static string DigestOf(JsonElement descriptor) => descriptor.GetProperty("digest").GetString()!;

    private static byte[] Plain(byte[] layer)
    {
        if (layer is not [0x1f, 0x8b, ..])
            return layer;
        using var plain = new MemoryStream();
        using (var gzip = new GZipStream(new MemoryStream(layer), CompressionMode.Decompress))
            gzip.CopyTo(plain);
        return plain.ToArray();
    }
}
