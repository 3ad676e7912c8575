using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>The mirror replaces <c>registry:2</c> on an existing volume, and <c>registry:2</c> replaces the mirror.</summary>
public sealed class ExistingVolumeTests
{
    private readonly TestImage _image = TestImage.Create(seed: 30, layers: 3);

    [Fact]
    public async Task A_volume_filled_by_docker_registry_is_served_unchanged()
    {
        await using var old = await FilledAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = old.Root });
        await AssertPulledAsync($"{mirror.Authority}/acme/hello:1");
    }

    [Fact]
    public async Task A_cache_filled_by_docker_registry_is_served_without_upstream()
    {
        await using var upstream = await FilledAsync(stop: false);
        await using var old = await DockerRegistry.StartAsync(upstream.Url);
        await AssertPulledAsync($"{old.Authority}/acme/hello:1");
        // Its answers come before it has stored what it sends.
        var layers = Path.Combine(old.Root, "docker", "registry", "v2", "repositories", "acme", "hello", "_layers");
        await Until.TrueAsync(
            () => _image.Blobs.All(blob => File.Exists(Path.Combine(layers, blob.Algorithm, blob.Hex, "link"))),
            () => "docker-registry did not store the image.");
        await old.StopAsync();
        await upstream.StopAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = old.Root, Upstream = upstream.Url });
        await AssertPulledAsync($"{mirror.Authority}/acme/hello:1");
    }

    [Fact]
    public async Task Docker_registry_serves_what_the_mirror_stored()
    {
        await using var upstream = await FilledAsync(stop: false);
        // Started first, because the volume belongs to this process; it serves last.
        await using var last = await DockerRegistry.StartAsync();
        await last.StopAsync();
        await using (var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = last.Root, Upstream = upstream.Url }))
        {
            await AssertPulledAsync($"{mirror.Authority}/acme/hello:1");
            await Task.WhenAll(_image.Blobs.Select(b => mirror.UntilStoredAsync($"acme/hello/blobs/{b}")));
        }
        await last.StartAgainAsync();
        await AssertPulledAsync($"{last.Authority}/acme/hello:1");
    }

    private static async Task<DockerRegistry> StartAsync()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        return await DockerRegistry.StartAsync();
    }

    private async Task<DockerRegistry> FilledAsync(bool stop = true)
    {
        var registry = await StartAsync();
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(_image, $"{registry.Authority}/acme/hello:1");
        if (stop)
            await registry.StopAsync();
        return registry;
    }

    private async Task AssertPulledAsync(string image)
    {
        using var skopeo = new Skopeo();
        var pulled = await skopeo.PullAsync(image);
        var manifest = await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), TestContext.Current.CancellationToken);
        Assert.Equal(_image.Manifest, manifest);
        Assert.All(_image.Blobs, blob => Assert.True(File.Exists(Path.Combine(pulled, blob.Hex))));
    }
}
