using System.Globalization;
using System.Net;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>How many uploads may be open, how many bytes they may have, and where those without bytes are.</summary>
public sealed class UploadQuotaTests
{
    [Fact]
    public async Task An_upload_takes_no_room_in_the_store_before_its_first_byte()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "a/b");
        var location = await repository.BeginAsync();
        var folder = Path.Combine(mirror.Root, RegistryLayout.Uploads(RepositoryName.Parse("a/b")));
        Assert.Equal(HttpStatusCode.Accepted, await repository.StatusOfAsync("PATCH", location, []));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, await WithRangeAsync(location));
        Assert.False(Directory.Exists(folder));
        Assert.Equal(HttpStatusCode.Accepted, await repository.StatusOfAsync("PATCH", location, [1]));
        Assert.Single(Directory.GetDirectories(folder));

        var (cancelled, forgotten) = (await repository.BeginAsync(), await repository.BeginAsync());
        Assert.Equal(HttpStatusCode.NoContent, await repository.StatusOfAsync("DELETE", cancelled));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("GET", cancelled));
        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        using (var answer = await repository.SendAsync("PATCH", forgotten, [1]))
            await AssertErrorAsync(answer, 404, "BLOB_UPLOAD_UNKNOWN");
        Assert.Equal(HttpStatusCode.NoContent, await repository.StatusOfAsync("GET", location));

        async Task<HttpStatusCode> WithRangeAsync(string at)
        {
            using var answer = await repository.SendAsync("PATCH", at, [1], null, ("Content-Range", "5-5"));
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task A_replica_that_shares_only_the_store_and_the_secret_finds_an_upload_that_has_begun()
    {
        var environment = new Dictionary<string, string> { ["REGISTRY_HTTP_SECRET"] = "a secret that both replicas have" };
        await using var first = await MirrorProcess.StartAsync(new MirrorSettings { Environment = environment });
        await using var second = await MirrorProcess.StartAsync(new MirrorSettings { Environment = environment, Root = first.Root });
        var location = new Uri(await new PushedRepository(first, "a/b").BeginAsync());
        var other = new Uri(second.Url, location.PathAndQuery).ToString();
        var (here, there) = (new PushedRepository(first, "a/b"), new PushedRepository(second, "a/b"));
        Assert.Equal(HttpStatusCode.Accepted, await there.StatusOfAsync("PATCH", other, [1]));

        // The next requests go to either of them.
        Assert.Equal(HttpStatusCode.Accepted, await here.StatusOfAsync("PATCH", location.ToString(), [2, 3]));
        using (var status = await there.SendAsync("GET", other))
            Assert.Equal("0-2", Header(status, "Range"));
        Assert.Equal(HttpStatusCode.Accepted, await there.StatusOfAsync("PATCH", other, [4]));
        Assert.Equal(HttpStatusCode.Created, await here.StatusOfAsync("PUT", $"{location}?digest={Digest.Of([1, 2, 3, 4])}"));
        Assert.Equal(HttpStatusCode.NotFound, await there.StatusOfAsync("GET", other));
        using var blob = await there.SendAsync("GET", $"blobs/{Digest.Of([1, 2, 3, 4])}");
        Assert.Equal([1, 2, 3, 4], await blob.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_repository_with_too_many_uploads_leaves_room_to_others()
    {
        // Half of what a process with so little memory allows.
        const int memory = 64 << 20, share = memory / (16 << 10) / 2;
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["DOTNET_GCHeapHardLimit"] = memory.ToString("X", null) },
        });
        var (crowd, other) = (new PushedRepository(mirror, "a/crowd"), new PushedRepository(mirror, "a/other"));
        var (kept, first) = (await crowd.BeginAsync(), await crowd.BeginAsync());
        Assert.Equal(HttpStatusCode.Accepted, await crowd.StatusOfAsync("PATCH", kept, [1]));
        for (var begun = 2; begun < share; begun += 64)
            await Task.WhenAll(Enumerable.Range(begun, Math.Min(64, share - begun)).Select(_ => crowd.BeginAsync()));

        // Others push.
        var blob = await other.PushAsync(UploadTests.Bytes(1000));
        Assert.Equal(HttpStatusCode.OK, await other.StatusOfAsync("HEAD", $"blobs/{blob}"));
        // After a while an upload without bytes makes room for a new one. One with bytes goes on.
        await Until.TrueAsync(
            async () =>
            {
                using var begun = await crowd.SendAsync("POST", "blobs/uploads/");
                if (begun.StatusCode == HttpStatusCode.Accepted)
                    return true;
                await AssertErrorAsync(begun, 429, "TOOMANYREQUESTS");
                Assert.InRange(int.Parse(Header(begun, "Retry-After")!, CultureInfo.InvariantCulture), 1, 10);
                return false;
            },
            () => "No upload makes room.");
        Assert.Equal(HttpStatusCode.NotFound, await crowd.StatusOfAsync("GET", first));
        using (var done = await crowd.SendAsync("PUT", $"{kept}?digest={Digest.Of([1])}"))
            Assert.Equal(HttpStatusCode.Created, done.StatusCode);
    }

    [Fact]
    public async Task A_repository_whose_uploads_have_too_many_bytes_leaves_room_to_others()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = Path.Combine(volume.Path, "root") });
        var (crowd, other) = (new PushedRepository(mirror, "a/crowd"), new PushedRepository(mirror, "a/other"));
        var chunk = UploadTests.Bytes(1 << 20);
        var location = await crowd.BeginAsync();
        for (var taken = 1; ; taken++)
        {
            using var answer = await crowd.SendAsync("PATCH", location, chunk);
            if (answer.StatusCode == HttpStatusCode.Accepted)
                continue;
            await AssertErrorAsync(answer, 503, "UNAVAILABLE");
            Assert.Equal("30", Header(answer, "Retry-After"));
            Assert.InRange(taken, 10, 20);
            break;
        }
        await Until.TrueAsync(
            () => Task.FromResult(mirror.Log.Any(line => line.Contains("try again later", StringComparison.Ordinal)
                && line.Contains($"make room in {mirror.Root}", StringComparison.Ordinal))),
            () => string.Join('\n', mirror.Log));
        // Nothing was removed, and it can be ended.
        using (var status = await crowd.SendAsync("GET", location))
            Assert.Equal(HttpStatusCode.NoContent, status.StatusCode);
        await other.PushAsync(UploadTests.Bytes(1000));
        Assert.Equal(HttpStatusCode.NoContent, await crowd.StatusOfAsync("DELETE", location));
        await crowd.PushAsync(chunk);
    }
}
