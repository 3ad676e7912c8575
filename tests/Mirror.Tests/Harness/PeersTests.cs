using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Harness;

/// <summary>The real programs start, talk to each other and are counted, before the mirror stands between them.</summary>
public sealed class PeersTests
{
    [Fact]
    public async Task Dockerd_pulls_through_docker_registry_as_its_mirror()
    {
        Dockerd.Availability.OrSkip();
        var image = TestImage.Create(seed: 1);
        await using var upstream = await PushedAsync(image);
        await using var mirror = await DockerRegistry.StartAsync(upstream.Url);
        await using var dockerd = await Dockerd.StartAsync(mirror.Url);
        await upstream.ForgetAsync();
        await dockerd.PullAsync("hello:1");
        await upstream.SettleAsync();
        // Each blob goes to the client and, by a second request, into the store: that is how registry:2 is.
        Assert.Equal(
            image.Blobs.Count() * 2,
            upstream.Requests.Count(r => r.Method == "GET" && r.Path.Contains("/blobs/", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Containerd_pulls_from_docker_registry()
    {
        Containerd.Availability.OrSkip();
        await using var upstream = await PushedAsync(TestImage.Create(seed: 2));
        await using var containerd = await Containerd.StartAsync(upstream.Url);
        await containerd.PullAsync("docker.io/library/hello:1");
        await upstream.SettleAsync();
        Assert.Contains(upstream.Requests, r => r.Path.Contains("ns=docker.io", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Podman_pulls_from_docker_registry()
    {
        Podman.Availability.OrSkip();
        await using var upstream = await PushedAsync(TestImage.Create(seed: 3, oci: true));
        await using var podman = new Podman(upstream.Authority);
        await podman.PullAsync("docker.io/library/hello:1");
        await upstream.SettleAsync();
        Assert.Contains(upstream.Requests, r => r.Path == "/v2/library/hello/manifests/1");
    }

    [Fact]
    public async Task Skopeo_copies_an_image_of_several_architectures()
    {
        Skopeo.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        await using var registry = await DockerRegistry.StartAsync();
        using var skopeo = new Skopeo(registry.Authority);
        await skopeo.PushIndexAsync(
            [TestImage.Create(4, oci: true), TestImage.Create(5, oci: true, architecture: "arm64")],
            $"{registry.Authority}/library/hello:1");
        var pulled = await skopeo.PullAsync("docker.io/library/hello:1");
        Assert.Equal(2 * 3, Directory.GetFiles(pulled).Count(f => Path.GetFileName(f).Length == 64));
    }

    [Fact]
    public async Task Docker_registry_mirrors_the_scripted_hub()
    {
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var image = TestImage.Create(seed: 6);
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", image);
        await using var mirror = await DockerRegistry.StartAsync(hub.Url);
        using var skopeo = new Skopeo(mirror.Authority);
        await skopeo.PullAsync("docker.io/library/hello:1");
        Assert.All(image.Blobs, blob => Assert.True(hub.Log.BodyBytes(blob) > 0));
        Assert.Empty(hub.Log.AuthorizationSeenBy("cdn"));
    }

    private static async Task<DockerRegistry> PushedAsync(TestImage image)
    {
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var registry = await DockerRegistry.StartAsync();
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(image, $"{registry.Authority}/library/hello:1");
        return registry;
    }
}
