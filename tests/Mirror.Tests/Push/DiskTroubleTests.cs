using System.Net;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary>Pushes to a disk that is full or cannot be written.</summary>
public sealed class DiskTroubleTests
{
    private static readonly byte[] Large = HubBlob.Seeded(2, 6 << 20).Slice(0, 6 << 20);

    [Theory]
    [InlineData("full")]
    [InlineData("full in the middle of an upload")]
    [InlineData("no inodes")]
    [InlineData("read-only")]
    public async Task A_push_is_refused_with_an_OCI_error_and_works_again_afterwards(string trouble)
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = Path.Combine(volume.Path, "root") });
        var repository = new PushedRepository(mirror, "a/b");
        var (cached, bytes) = await repository.PushManifestAsync("latest", "before");
        var (other, _) = await repository.PushManifestAsync("other", "other");
        // This upload begins while the disk has room.
        var location = await repository.BeginAsync();

        if (trouble == "read-only")
            await volume.RemountAsync("ro");
        else if (trouble == "no inodes")
            volume.FillUpInodes();
        else
            volume.FillUp(leave: trouble == "full" ? 0 : 3 << 20);

        if (trouble != "full in the middle of an upload")
        {
            // These requests need space for a name only.
            await AssertRefusedAsync("POST", "blobs/uploads/", []);
            await AssertRefusedAsync("PUT", "manifests/new", PushedRepository.Manifest(Digest.Of("config before"u8)));
            var moved = PushedRepository.Manifest(Digest.Of("config other"u8), more: "\"annotations\":{\"a\":\"b\"}");
            await AssertRefusedAsync("PUT", "manifests/latest", moved);
        }
        // These need space for content. The upload that filled the disk is deleted, which frees some space.
        await AssertRefusedAsync("POST", $"blobs/uploads/?digest={Digest.Of(Large)}", Large);
        if (trouble != "no inodes")
            await AssertRefusedAsync("PATCH", location, Large);
        // Stored content is served as before, and every name still means the same content.
        Assert.Equal(bytes, await repository.BytesAsync("manifests/latest"));
        Assert.Equal(bytes, await repository.BytesAsync($"manifests/{cached}"));
        Assert.Equal(other, Digest.Of(await repository.BytesAsync("manifests/other")));
        Assert.Equal("config before", await repository.TextAsync($"blobs/{Digest.Of("config before"u8)}"));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("GET", "manifests/new"));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("HEAD", $"blobs/{Digest.Of(Large)}"));

        if (trouble == "read-only")
            await volume.RemountAsync("rw");
        else
            volume.Relieve();
        var large = await repository.PushAsync(Large);
        Assert.Equal(Large, await repository.BytesAsync($"blobs/{large}"));
        await repository.PushManifestAsync("new", "afterwards");
        // No incomplete file is left, except uploads that their clients can continue.
        Assert.Empty(Directory.GetFiles(Path.Combine(mirror.Root, RegistryLayout.Temporary), "*", SearchOption.AllDirectories));
        Assert.Equal(0, (await mirror.RunAsync("verify")).Code);

        async Task AssertRefusedAsync(string method, string path, byte[] body)
        {
            var type = path.StartsWith("manifests", StringComparison.Ordinal) ? PushedRepository.OciManifest : null;
            using var response = await repository.SendAsync(method, path, body, type);
            var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.True(
                response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.InsufficientStorage,
                $"{method} {path}: {(int)response.StatusCode} {text}");
            using var json = JsonDocument.Parse(text);
            Assert.Equal("UNAVAILABLE", json.RootElement.GetProperty("errors")[0].GetProperty("code").GetString());
        }
    }
}
