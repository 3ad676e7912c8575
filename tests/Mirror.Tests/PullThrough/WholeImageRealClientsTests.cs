using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A client that has the base of an image does not ask for it, and the image is whole for the next client all the same.</summary>
public sealed class WholeImageRealClientsTests : MirrorOfHub
{
    private readonly TestImage _first = TestImage.Create(seed: 70);

    [Fact]
    public async Task Dockerd_pulls_an_image_without_upstream_of_which_another_client_had_the_base()
    {
        Dockerd.Availability.OrSkip();
        await using var dockerd = await Dockerd.StartAsync(Mirror.Url);
        var second = await PullOneAfterTheOtherAsync(dockerd.PullAsync, "first:1", "second:1");
        foreach (var image in new[] { "first:1", "second:1" })
            await dockerd.RemoveAsync(image);

        await Hub.Registry.TakeDownAsync();
        await dockerd.PullAsync("second:1");
        Assert.Equal(
            string.Join(' ', second.Layers.Select(layer => layer.DiffId)),
            (await dockerd.RunAsync("image", "inspect", "--format", "{{join .RootFS.Layers \" \"}}", "second:1")).Trim());
    }

    [Fact]
    public async Task Containerd_pulls_an_image_without_upstream_of_which_another_client_had_the_base()
    {
        Containerd.Availability.OrSkip();
        await using var containerd = await Containerd.StartAsync(Mirror.Url);
        var second = await PullOneAfterTheOtherAsync(containerd.PullAsync, "docker.io/library/first:1", "docker.io/library/second:1");
        foreach (var image in new[] { "first:1", "second:1" })
            await containerd.RemoveAsync($"docker.io/library/{image}");

        await Hub.Registry.TakeDownAsync();
        await containerd.PullAsync("docker.io/library/second:1");
        var content = await containerd.RunAsync("content", "ls", "--quiet");
        Assert.All(second.Blobs, digest => Assert.Contains(digest.ToString(), content, StringComparison.Ordinal));
    }

    // The client has the layers of the first image when it pulls the second one, which is an index.
    private async Task<TestImage> PullOneAfterTheOtherAsync(Func<string, Task> pull, string firstName, string secondName)
    {
        var second = TestImage.On(_first, seed: 71);
        var other = TestImage.Create(seed: 72, architecture: "arm64");
        Hub.AddImage("library/first", "1", _first);
        Hub.AddIndex(
            "library/second", "1",
            (Hub.AddImage("library/second", "amd64", second), "amd64"), (Hub.AddImage("library/second", "arm64", other), "arm64"));
        await pull(firstName);
        await pull(secondName);

        foreach (var layer in second.Layers)
        {
            await Until.TrueAsync(
                () => File.Exists(Path.Combine(
                    Mirror.Root, RegistryLayout.LayerLink(RepositoryName.Parse("library/second"), layer.Digest))),
                () => string.Join('\n', Mirror.Log));
            Assert.Equal(layer.Bytes.Length, Hub.Log.BodyBytes(layer.Digest));
        }
        // Nothing of the platform that no client has pulled; and the base was asked for as a part of the first image alone.
        Assert.All(other.Blobs, digest => Assert.Equal(0, Hub.Log.BodyBytes(digest)));
        Assert.DoesNotContain(
            Hub.Log.Requests,
            request => request is { Asked: Asked.Blob, Method: "GET" }
                && _first.Layers.Any(layer => request.Path == $"/v2/library/second/blobs/{layer.Digest}"));
        return second;
    }
}
