using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary>Real clients push to a hosted repository of a mirror, and pull from it.</summary>
public sealed class PushRealClientsTests
{
    private readonly TestImage _image = TestImage.Create(seed: 40, layers: 2);

    [Fact]
    public async Task Dockerd_pushes_what_it_pulled_through()
    {
        Dockerd.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        await using var dockerd = await Dockerd.StartAsync(mirror.Url);
        var target = $"{mirror.Authority}/local/hello:1";
        await dockerd.PullAsync("hello:1");
        await dockerd.RunAsync("tag", "hello:1", target);
        await dockerd.RunAsync("push", target);
        await dockerd.RemoveAsync(target);
        await dockerd.RemoveAsync("hello:1");
        await dockerd.PullAsync(target);
    }

    [Fact]
    public async Task Skopeo_pushes_and_pulls()
    {
        Skopeo.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(_image, $"{mirror.Authority}/local/hello:1");
        var pulled = await skopeo.PullAsync($"{mirror.Authority}/local/hello:1");
        var manifest = await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), TestContext.Current.CancellationToken);
        Assert.Equal(_image.Manifest, manifest);
    }

    [Fact]
    public async Task Skopeo_pushes_every_architecture()
    {
        Skopeo.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        using var skopeo = new Skopeo();
        TestImage[] images = [TestImage.Create(41, oci: true), TestImage.Create(42, oci: true, architecture: "arm64")];
        var index = await skopeo.PushIndexAsync(images, $"{mirror.Authority}/local/hello:1");
        var pulled = await skopeo.PullAsync($"{mirror.Authority}/local/hello:1");
        var manifest = await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), TestContext.Current.CancellationToken);
        Assert.Equal(index, Digest.Of(manifest));
    }

    [Fact]
    public async Task Podman_pushes_and_pulls()
    {
        Podman.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        await using var podman = new Podman(mirror.Authority);
        var target = $"{mirror.Authority}/local/hello:1";
        await podman.PullAsync("docker.io/library/hello:1");
        await podman.RunAsync("push", "-q", "--tls-verify=false", "docker.io/library/hello:1", $"docker://{target}");
        await podman.RunAsync("rmi", "docker.io/library/hello:1");
        await podman.RunAsync("pull", "-q", "--tls-verify=false", target);
    }

    [Fact]
    public async Task Containerd_pushes_and_pulls()
    {
        Containerd.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        await using var containerd = await Containerd.StartAsync(mirror.Url);
        var target = $"{mirror.Authority}/local/hello:1";
        await containerd.PullAsync("docker.io/library/hello:1");
        await containerd.RunAsync("images", "tag", "docker.io/library/hello:1", target);
        await containerd.RunAsync("images", "push", "--plain-http", target);
        await containerd.RemoveAsync(target);
        await containerd.RemoveAsync("docker.io/library/hello:1");
        await containerd.RunAsync("images", "pull", "--plain-http", target);
    }
}
