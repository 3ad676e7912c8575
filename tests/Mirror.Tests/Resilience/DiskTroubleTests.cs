using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// The disk cannot be written: stored content is served, missing content is passed on uncached, and later it is stored again.
/// </summary>
public sealed class DiskTroubleTests : MirrorOfHub
{
    private const int Size = 6 << 20;

    [Theory]
    [InlineData("full")]
    [InlineData("full in the middle of a download")]
    [InlineData("no inodes")]
    [InlineData("read-only")]
    public async Task A_full_or_read_only_store_serves_and_passes_blobs_on(string trouble)
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, TagsCacheTtl = "0", Root = Path.Combine(volume.Path, "root") });
        var cached = Hub.AddImage(Repository, "cached", HubBlob.Seeded(1, 1 << 20));
        await PullAsync(mirror, "cached", cached);
        foreach (var blob in cached.Layers.Append(cached.Config))
            await mirror.UntilStoredAsync(BlobPath(blob.Digest));

        await (trouble switch
        {
            "read-only" => volume.RemountAsync("ro"),
            _ => Task.Run(() => FillUp(volume, trouble), Cancel),
        });
        var cold = Hub.AddImage(Repository, "cold", HubBlob.Seeded(2, Size), HubBlob.Seeded(3, Size));
        for (var i = 0; i < 2; i++)
        {
            await PullAsync(mirror, "cached", cached);
            await PullAsync(mirror, "cold", cold);
        }
        foreach (var layer in cold.Layers)
            Assert.False(File.Exists(Path.Combine(mirror.Root, RegistryLayout.BlobData(layer.Digest))));

        // The log says so once a minute and not once a pull.
        Assert.InRange(mirror.Log.Count(line => line.Contains("cannot store", StringComparison.Ordinal)), 1, 5);
        // A disk that has room for a config, but not for a layer, does take writes.
        if (trouble != "full in the middle of a download")
        {
            await Until.TrueAsync(async () => await mirror.MetricAsync("mirror_store_writable") == 0, () => string.Join('\n', mirror.Log));
            var ready = await Http.Client.GetStringAsync(new Uri(mirror.Debug, "/debug/ready"), Cancel);
            Assert.Contains("takes no writes", ready, StringComparison.Ordinal);
        }

        if (trouble == "read-only")
            await volume.RemountAsync("rw");
        else
            volume.Relieve();
        // Background work may still be running. When it ends, it leaves no partial files.
        await Until.TrueAsync(() => Files(mirror, "mirror/tmp").Length == 0, () => "Partial files are left.");
        await PullAsync(mirror, "cold", cold);
        foreach (var blob in cold.Layers.Append(cold.Config))
            await mirror.UntilStoredAsync(BlobPath(blob.Digest));
        await Until.TrueAsync(async () => await mirror.MetricAsync("mirror_store_writable") == 1, () => string.Join('\n', mirror.Log));
        Assert.Equal("{}", await Http.Client.GetStringAsync(new Uri(mirror.Debug, "/debug/ready"), Cancel));
        await Until.TrueAsync(
            () => Files(mirror, "mirror/fills").Length == 0, () => $"Spools are left: {string.Join(' ', Files(mirror, "mirror/fills"))}");
        Assert.Equal(0, (await mirror.RunAsync("verify")).Code);
    }

    // Network file systems report such sizes.
    [Fact]
    public async Task A_volume_of_seven_EiB_takes_pushes()
    {
        LoopVolume.Availability.OrSkip();
        using var folder = new TempFolder();
        await PeerProcess.RunAsync("mount", ["-t", "tmpfs", "-o", "size=7E", "none", folder.Path]);
        try
        {
            await using var mirror = await MirrorProcess.StartAsync(
                new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(folder.Path, "root") });
            var (digest, bytes) = await new PushedRepository(mirror, "local/app").PushManifestAsync("v1");
            using var response = await mirror.GetAsync(ManifestPath(digest, "local/app"));
            Assert.Equal(bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        }
        finally
        {
            await PeerProcess.RunAsync("umount", ["-l", folder.Path]);
        }
    }

    [Theory]
    [InlineData("full")]
    [InlineData("read-only")]
    public async Task A_store_that_takes_no_writes_is_said_at_the_start(string trouble)
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        Directory.CreateDirectory(Path.Combine(volume.Path, "root"));
        if (trouble == "full")
            volume.FillUp();
        else
            await volume.RemountAsync("ro");

        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(volume.Path, "root") });

        await mirror.UntilLoggedAsync(line => line.Contains("cannot store", StringComparison.Ordinal)
            && line.Contains("the rest comes from upstream uncached, and pushes are refused", StringComparison.Ordinal));
        Assert.Equal(0, await mirror.MetricAsync("mirror_store_writable"));
        Assert.Contains(
            "takes no writes", await Http.Client.GetStringAsync(new Uri(mirror.Debug, "/debug/ready"), Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_byte_aborts_an_uncached_download()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(volume.Path, "root") });
        volume.FillUp();
        foreach (var offset in new[] { 0, Size / 2, Size - 1 })
        {
            var blob = Hub.AddBlob(Repository, HubBlob.Seeded(offset, Size));
            Hub.Fault(blob.Digest, BlobFault.WrongByteAt(offset), times: 3);
            using var response = await mirror.GetAsync(BlobPath(blob.Digest));
            if (response.StatusCode == HttpStatusCode.OK)
                await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsByteArrayAsync(Cancel));
        }
    }

    [Fact]
    public async Task A_429_in_the_middle_of_an_uncached_download_is_waited_out()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(volume.Path, "root") });
        volume.FillUp();
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(Size / 2));
        using var script = Hub.Script(
            request => request is { Origin: "registry", Range: { } range } && !range.StartsWith("bytes=0-", StringComparison.Ordinal),
            Answer.TooManyRequests("1"), times: 1);
        using var response = await mirror.GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(1, Hub.Log.Requests.Count(request => request.Status == 429));
    }

    [Fact]
    public async Task Too_many_connections_do_not_disturb_the_existing_ones()
    {
        var (mirror, image) = await StartWithAsync(openFiles: 512);
        await using var _ = mirror;

        List<Socket> held = [];
        for (var i = 0; i < 600; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            held.Add(socket);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, mirror.Url.Port, Cancel);
                await socket.SendAsync(Encoding.ASCII.GetBytes("GET /v2/ HTTP/1.1\r\nHost: m\r\nX-Half: "), Cancel);
            }
            catch (SocketException)
            {
                // The mirror refused the connection.
            }
        }
        // This client's connection is older.
        await PullAsync(mirror, "latest", image);
        held.ForEach(socket => socket.Dispose());
        await Until.TrueAsync(
            async () =>
            {
                try
                {
                    using var client = new HttpClient();
                    using var response = await client.GetAsync(new Uri(mirror.Url, $"/v2/{BlobPath(image.Layers[0].Digest)}"), Cancel);
                    return response.StatusCode == HttpStatusCode.OK;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            () => "The mirror does not accept new connections again.");
    }

    [Fact]
    public async Task A_burst_of_connections_takes_no_files_from_the_existing_ones()
    {
        var (mirror, image) = await StartWithAsync(openFiles: 400);
        await using var _ = mirror;

        for (var round = 0; round < 2; round++)
        {
            // All these wait when the mirror goes on, and it accepts them at once.
            mirror.StandStill();
            var held = Enumerable.Range(0, 450)
                .Select(each => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false }).ToList();
            foreach (var socket in held)
                Assert.Throws<SocketException>(() => socket.Connect(IPAddress.Loopback, mirror.Url.Port));
            var pull = PullAsync(mirror, "latest", image);
            mirror.GoOn();
            await pull;
            await PullAsync(mirror, "latest", image);
            held.ForEach(socket => socket.Dispose());
        }
    }

    /// <summary>A mirror that may open so many files, and that has an image.</summary>
    private async Task<(MirrorProcess Mirror, HubImage Image)> StartWithAsync(int openFiles)
    {
        if (Availability.Of("prlimit") is { IsAvailable: false } missing)
            missing.OrSkip();
        var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, Limits = $"--nofile={openFiles}" });
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1 << 20));
        await PullAsync(mirror, "latest", image);
        await mirror.UntilStoredAsync(BlobPath(image.Layers[0].Digest));
        return (mirror, image);
    }

    private static void FillUp(LoopVolume volume, string trouble)
    {
        if (trouble == "no inodes")
            volume.FillUpInodes();
        else
            volume.FillUp(leave: trouble == "full" ? 0 : 3 << 20);
    }

    private static string[] Files(MirrorProcess mirror, string folder) =>
        Path.Combine(mirror.Root, folder) is var path && Directory.Exists(path)
            ? Directory.GetFiles(path, "*", SearchOption.AllDirectories)
            : [];

    private static async Task PullAsync(MirrorProcess mirror, string tag, HubImage image)
    {
        using (var manifest = await mirror.GetAsync(ManifestPath(tag)))
        {
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        }
        foreach (var blob in image.Layers.Append(image.Config))
            using (var response = await mirror.GetAsync(BlobPath(blob.Digest)))
            {
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.Equal(blob.Digest, await DigestOfAsync(response));
            }
    }
}
