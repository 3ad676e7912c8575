using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Common clients pull from a real registry through the mirror, twice; the second pull sends no request upstream.</summary>
public sealed class PullThroughRealClientsTests
{
    private const string Name = "docker.io/library/hello:1";

    // Config and two layers: three blobs.
    private readonly TestImage _image = TestImage.Create(seed: 20, layers: 2);

    [Fact]
    public async Task Dockerd_pulls_through_the_mirror()
    {
        Dockerd.Availability.OrSkip();
        await using var upstream = await PushedAsync(_image);
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        await using var dockerd = await Dockerd.StartAsync(mirror.Url);
        await AssertAskedOnceAsync(upstream, () => dockerd.PullAsync("hello:1"), () => dockerd.RemoveAsync("hello:1"));
    }

    [Fact]
    public async Task Containerd_pulls_through_the_mirror()
    {
        Containerd.Availability.OrSkip();
        await using var upstream = await PushedAsync(_image);
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        await using var containerd = await Containerd.StartAsync(mirror.Url);
        await AssertAskedOnceAsync(upstream, () => containerd.PullAsync(Name), () => containerd.RemoveAsync(Name));
    }

    [Fact]
    public async Task Podman_pulls_through_the_mirror()
    {
        Podman.Availability.OrSkip();
        await using var upstream = await PushedAsync(_image);
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        await using var podman = new Podman(mirror.Authority);
        await AssertAskedOnceAsync(upstream, () => podman.PullAsync(Name), () => podman.RunAsync("rmi", Name));
    }

    [Fact]
    public async Task Skopeo_pulls_through_the_mirror()
    {
        Skopeo.Availability.OrSkip();
        await using var upstream = await PushedAsync(_image);
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        using var skopeo = new Skopeo(mirror.Authority);
        await AssertAskedOnceAsync(upstream, () => skopeo.PullAsync(Name), () => Task.CompletedTask);
    }

    [Fact]
    public async Task An_image_of_several_architectures_arrives_whole()
    {
        await using var upstream = await StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        using var skopeo = new Skopeo(mirror.Authority);
        TestImage[] images = [TestImage.Create(21, oci: true), TestImage.Create(22, oci: true, architecture: "arm64")];
        var index = await skopeo.PushIndexAsync(images, $"{upstream.Authority}/library/hello:1");
        var pulled = await skopeo.PullAsync(Name);
        var manifest = await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), TestContext.Current.CancellationToken);
        Assert.Equal(index, Storage.Digest.Of(manifest));
        Assert.All(images.SelectMany(i => i.Blobs), blob => Assert.True(File.Exists(Path.Combine(pulled, blob.Hex))));
    }

    [Fact]
    public async Task Dockerd_costs_docker_hub_one_pull_one_token_and_each_blob_once()
    {
        Dockerd.Availability.OrSkip();
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        await using var dockerd = await Dockerd.StartAsync(mirror.Url);
        hub.Log.Clear();

        await dockerd.PullAsync("hello:1");
        Assert.Equal(1, hub.Pulls);
        Assert.Equal(3, hub.Log.Count(Asked.Blob, "GET"));
        Assert.Equal(new Dictionary<string, int> { ["repository:library/hello:pull"] = 1 }, hub.Log.TokensIssued);

        hub.Log.Clear();
        await dockerd.RemoveAsync("hello:1");
        await dockerd.PullAsync("hello:1");
        Assert.Empty(hub.Log.Requests);
    }

    private static async Task AssertAskedOnceAsync(DockerRegistry upstream, Func<Task> pull, Func<Task> forget)
    {
        await upstream.ForgetAsync();
        await pull();
        await upstream.SettleAsync();
        Assert.Equal(3, upstream.Requests.Count(r => r.Method == "GET" && r.Path.Contains("/blobs/", StringComparison.Ordinal)));

        await forget();
        await upstream.ForgetAsync();
        await pull();
        await upstream.SettleAsync();
        Assert.Empty(upstream.Requests);
    }

    private static async Task<DockerRegistry> PushedAsync(TestImage image)
    {
        var registry = await StartAsync();
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(image, $"{registry.Authority}/library/hello:1");
        return registry;
    }

    private static async Task<DockerRegistry> StartAsync()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        return await DockerRegistry.StartAsync();
    }
}
