using System.Collections.Concurrent;
using System.Net;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>What survives the end of the process.</summary>
public sealed class DurabilityTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_upload_continues_after_a_restart(bool killed)
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "a/b");
        var bytes = UploadTests.Bytes(1_000_000);
        var location = await repository.BeginAsync();
        using var first = await repository.SendAsync("PATCH", location, bytes[..600_000], null, ("Content-Range", "0-599999"));
        Assert.Equal(HttpStatusCode.Accepted, first.StatusCode);

        await (killed ? mirror.KillAsync() : mirror.StopAsync());
        await mirror.StartAgainAsync();

        using var status = await repository.SendAsync("GET", location);
        Assert.Equal((HttpStatusCode.NoContent, "0-599999"), (status.StatusCode, Header(status, "Range")));
        using var second = await repository.SendAsync("PATCH", location, bytes[600_000..], null, ("Content-Range", "600000-999999"));
        using var done = await repository.SendAsync("PUT", $"{location}?digest={Digest.Of(bytes)}");
        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Created), (second.StatusCode, done.StatusCode));
        Assert.Equal(bytes, await repository.BytesAsync($"blobs/{Digest.Of(bytes)}"));
    }

    [Fact]
    public async Task Acknowledged_pushes_survive_a_kill()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var random = new Random(7);
        var acknowledged = new ConcurrentDictionary<string, (Digest Manifest, Digest Layer)>();
        for (var round = 0; round < (Figures.Full ? 50 : 5); round++)
        {
            using var stop = new CancellationTokenSource();
            var pushing = Task.WhenAll(Enumerable.Range(0, 4).Select(client => Task.Run(() =>
                PushUntilAsync(new PushedRepository(mirror, $"r{client}/app"), $"{round}-{client}", acknowledged, stop.Token))));
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(200, 900)), TestContext.Current.CancellationToken);
            await mirror.KillAsync();
            await stop.CancelAsync();
            await pushing;
            await mirror.StartAgainAsync();
        }
        Assert.NotEmpty(acknowledged);
        foreach (var (key, (manifest, layer)) in acknowledged)
        {
            var (name, tag) = (key.Split(':')[0], key.Split(':')[1]);
            var repository = new PushedRepository(mirror, name);
            Assert.Equal(manifest, Digest.Of(await repository.BytesAsync($"manifests/{tag}")));
            Assert.Equal(layer, Digest.Of(await repository.BytesAsync($"blobs/{layer}")));
        }
    }

    [Fact]
    public async Task A_large_push_takes_little_memory()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "a/b");
        var chunk = UploadTests.Bytes(16 << 20);
        using var hash = Digest.NewHash("sha256");
        var location = await repository.BeginAsync();
        for (var i = 0; i < 24; i++)
        {
            hash.AppendData(chunk);
            var range = $"{(long)i * chunk.Length}-{(long)(i + 1) * chunk.Length - 1}";
            using var patched = await repository.SendAsync("PATCH", location, chunk, null, ("Content-Range", range));
            Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);
        }
        using var done = await repository.SendAsync("PUT", $"{location}?digest={Digest.FromHash("sha256", hash.GetCurrentHash())}");
        Assert.Equal(HttpStatusCode.Created, done.StatusCode);
        Assert.True(mirror.PeakResident < 150 << 20, $"{mirror.PeakResident >> 20} MiB");
    }

    [Fact]
    public async Task Only_abandoned_uploads_are_purged()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "a/b");
        var (old, young) = (await repository.BeginAsync(), await repository.BeginAsync());
        foreach (var location in (string[])[old, young])
            Assert.Equal(HttpStatusCode.Accepted, await repository.StatusOfAsync("PATCH", location, [1]));
        await mirror.StopAsync();
        var name = RepositoryName.Parse("a/b");
        File.SetLastWriteTimeUtc(Path.Combine(mirror.Root, RegistryLayout.UploadData(name, Id(old))), DateTime.UtcNow.AddDays(-8));
        await using var again = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Root = mirror.Root,
            Environment = new Dictionary<string, string> { ["REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL"] = "100ms" },
        });
        var purged = Path.Combine(mirror.Root, RegistryLayout.Upload(name, Id(old)));
        await Until.TrueAsync(() => !Directory.Exists(purged), () => "the old upload is still there");
        Assert.True(Directory.Exists(Path.Combine(mirror.Root, RegistryLayout.Upload(name, Id(young)))));
    }

    private static Guid Id(string location) => Guid.Parse(location[(location.LastIndexOf('/') + 1)..]);

    private static async Task PushUntilAsync(
        PushedRepository repository, string seed, ConcurrentDictionary<string, (Digest, Digest)> acknowledged, CancellationToken stop)
    {
        try
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                var layer = await repository.PushAsync(System.Text.Encoding.UTF8.GetBytes($"{seed} {i} {new string('x', 50_000)}"));
                var bytes = Manifest(layer);
                using var put = await repository.SendAsync("PUT", $"manifests/t{seed}-{i}", bytes, OciManifest);
                if (put.StatusCode == HttpStatusCode.Created)
                    acknowledged[$"{repository.Name}:t{seed}-{i}"] = (Digest.Of(bytes), layer);
            }
        }
        catch (Exception gone) when (gone is HttpRequestException or IOException)
        {
            // The server was killed before it answered.
        }
    }
}
