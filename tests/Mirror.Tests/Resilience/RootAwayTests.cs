using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>The volume of the store goes away under a running server, and comes back.</summary>
public sealed class RootAwayTests : MirrorOfHub
{
    private const string Name = "local/app";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_volume_that_does_not_tell_upper_case_from_lower_case_is_named_at_the_start(bool ignoresCase)
    {
        using var root = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = root.Path });
        await mirror.StopAsync();
        // On such a volume this name is that of the file that exists.
        if (ignoresCase)
            File.Copy(root[RegistryLayout.StoreIdentity], root[RegistryLayout.StoreIdentity.ToUpperInvariant()]);
        await mirror.StartAgainAsync();
        if (ignoresCase)
            await mirror.UntilLoggedAsync(IsWarning);
        else
            Assert.DoesNotContain(mirror.Log, IsWarning);

        bool IsWarning(string line) => line.Contains("level=error", StringComparison.Ordinal)
            && line.Contains($"{root.Path} does not tell upper case from lower case", StringComparison.Ordinal);
    }

    [Theory]
    [LongData("docker")]
    [InlineData("docker/registry/v2/blobs")]
    public async Task Nothing_is_acknowledged_while_the_volume_of_a_folder_below_is_unmounted(string folder)
    {
        LoopVolume.Availability.OrSkip();
        using var place = new TempFolder();
        var (root, volume) = (place.Folder("root"), place.Folder("volume"));
        var point = Directory.CreateDirectory(Path.Combine(root, folder)).FullName;
        var isMounted = false;
        await MountAsync();
        try
        {
            await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = root });
            var repository = new PushedRepository(mirror, "a/b");
            var (_, bytes) = await repository.PushManifestAsync("before");
            await UnmountAsync();
            foreach (var path in new[] { $"blobs/uploads/?digest={Digest.Of("new"u8)}", "blobs/uploads/" })
                Assert.Equal(HttpStatusCode.ServiceUnavailable, await repository.StatusOfAsync("POST", path, "new"u8.ToArray()));
            Assert.Empty(Directory.GetFileSystemEntries(point));

            await MountAsync();
            await Until.TrueAsync(
                async () => await repository.StatusOfAsync("GET", "manifests/before") == HttpStatusCode.OK, () => "The store is not back.");
            Assert.Equal(bytes, await repository.BytesAsync("manifests/before"));
            Assert.Equal(Digest.Of("new"u8), await repository.PushAsync("new"u8.ToArray()));
        }
        finally
        {
            if (isMounted)
                await UnmountAsync();
        }

        async Task MountAsync()
        {
            await PeerProcess.RunAsync("mount", ["--bind", volume, point]);
            isMounted = true;
        }

        async Task UnmountAsync()
        {
            isMounted = false;
            await PeerProcess.RunAsync("umount", ["-l", point]);
        }
    }

    [Fact]
    public async Task A_server_that_stops_while_its_volume_is_unmounted_writes_nothing_to_the_folder_underneath()
    {
        LoopVolume.Availability.OrSkip();
        using var place = new TempFolder();
        var (root, volume) = (place.Folder("root"), place.Folder("volume"));
        await PeerProcess.RunAsync("mount", ["--bind", volume, root]);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = root });
        try
        {
            var repository = new PushedRepository(mirror, "a/b");
            await repository.PushManifestAsync("pulled");
            await repository.BytesAsync("manifests/pulled");
        }
        finally
        {
            await PeerProcess.RunAsync("umount", ["-l", root]);
        }
        await mirror.StopAsync();
        Assert.Empty(Directory.GetFileSystemEntries(root));
    }

    [Theory]
    [InlineData("the folder is the mount point", "")]
    [LongData("the folder is below the mount point", "root")]
    [LongData("another file system is mounted over it", "")]
    public async Task Nothing_is_acknowledged_onto_the_folder_underneath(string how, string below)
    {
        await using var volume = await LoopVolume.MountAsync(64, 12_000);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = Hub.Url,
            TagsCacheTtl = "0",
            Root = Path.Combine(volume.Path, below),
            Hosted = "[local/*]",
        });
        var repository = new PushedRepository(mirror, Name);
        var (manifest, bytes) = await repository.PushManifestAsync("before", "before");
        var image = Hub.AddImage(Repository, "before", HubBlob.Seeded(1, 100_000));
        var cold = Hub.AddImage(Repository, "cold", HubBlob.Seeded(2, 100_000));
        await PullAsync(mirror, "before", image);
        await mirror.UntilStoredAsync(BlobPath(image.Layers[0].Digest));

        var acknowledged = new ConcurrentBag<(string Tag, Digest Manifest, Digest Blob)>();
        var refused = 0;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var pushing = Task.WhenAll(Enumerable.Range(0, 4).Select(client => PushUntilStoppedAsync(client)));
        await Until.TrueAsync(() => acknowledged.Count > 8, () => "Nothing is pushed.");

        var isMountedOver = how.StartsWith("another", StringComparison.Ordinal);
        await (isMountedOver ? PeerProcess.RunAsync("mount", ["-t", "tmpfs", "none", volume.Path]) : volume.UnmountAsync());
        await Until.TrueAsync(() => Volatile.Read(ref refused) > 8, () => "Pushes are not refused.");
        await Until.TrueAsync(
            () => mirror.Log.Any(line => line.Contains("mount its volume", StringComparison.Ordinal)), () => "The log does not say it.");
        string[] paths =
        [
            $"{Name}/manifests/before", $"{Name}/manifests/{manifest}", $"{Name}/blobs/{Digest.Of("config before"u8)}",
            $"{Name}/blobs/{Digest.Of("never there"u8)}", $"{Name}/tags/list", "_catalog", BlobPath(image.Layers[0].Digest),
        ];
        // The server answers with a manifest in memory for a second before it asks the store about it again.
        foreach (var path in paths)
            await Until.TrueAsync(
                async () =>
                {
                    using var answer = await mirror.GetAsync(path);
                    return answer.StatusCode == HttpStatusCode.ServiceUnavailable;
                },
                () => $"{path} is served although the store is away.");
        using (var ready = await Http.Client.GetAsync(new Uri(mirror.Debug, "/debug/ready"), Cancel))
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);

        await (isMountedOver ? volume.UnmountAsync() : volume.MountAgainAsync());
        await Until.TrueAsync(
            async () => await repository.StatusOfAsync("GET", "manifests/before") == HttpStatusCode.OK, () => "The store is not back.");
        var pushed = acknowledged.Count;
        await Until.TrueAsync(() => acknowledged.Count > pushed + 8, () => "Nothing is pushed.");
        await stop.CancelAsync();
        await pushing;

        Assert.Equal(bytes, await repository.BytesAsync("manifests/before"));
        foreach (var (tag, pushedManifest, blob) in acknowledged)
        {
            Assert.Equal(pushedManifest, Digest.Of(await repository.BytesAsync($"manifests/{tag}")));
            Assert.Equal(blob, Digest.Of(await repository.BytesAsync($"blobs/{blob}")));
        }
        await PullAsync(mirror, "before", image);
        await PullAsync(mirror, "cold", cold);
        var (code, output) = await mirror.RunAsync("verify");
        Assert.True(code == 0, output);
        Figures.Report($"{how}: {acknowledged.Count} pushes acknowledged and there, {refused} refused while the volume was away");

        async Task PushUntilStoppedAsync(int client)
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                var layer = Encoding.UTF8.GetBytes($"layer {client} {i}");
                var config = PushedRepository.Manifest(Digest.Of(layer));
                using var blob = await repository.SendAsync("POST", $"blobs/uploads/?digest={Digest.Of(layer)}", layer);
                using var put = blob.StatusCode != HttpStatusCode.Created ? null
                    : await repository.SendAsync("PUT", $"manifests/t{client}-{i}", config, PushedRepository.OciManifest);
                if (put?.StatusCode == HttpStatusCode.Created)
                    acknowledged.Add(($"t{client}-{i}", Digest.Of(config), Digest.Of(layer)));
                else
                {
                    Assert.True(
                        (put ?? blob).StatusCode == HttpStatusCode.ServiceUnavailable,
                        $"{(put ?? blob).StatusCode}\n{string.Join('\n', mirror.Log.TakeLast(5))}");
                    Interlocked.Increment(ref refused);
                }
            }
        }
    }

    private static async Task PullAsync(MirrorProcess mirror, string tag, HubImage image)
    {
        using (var manifest = await mirror.GetAsync(ManifestPath(tag)))
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        foreach (var blob in image.Layers.Append(image.Config))
            using (var response = await mirror.GetAsync(BlobPath(blob.Digest)))
                Assert.Equal(blob.Digest, await DigestOfAsync(response));
    }
}
