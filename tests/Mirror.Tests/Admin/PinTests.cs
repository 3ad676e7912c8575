using System.Net;
using System.Text.Json;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary><c>pin</c> and <c>unpin</c>.</summary>
public sealed class PinTests : MirrorOfHub
{
    private const int MiB = 1 << 20;

    private static readonly HubBlob Layer = HubBlob.Seeded(1, 30_000);
    private readonly TempFolder _folder = new();

    private string AuditPath => Path.Combine(_folder.Path, "audit");

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
    }

    protected override MirrorSettings Settings(ScriptedHub hub) => new()
    {
        Upstream = hub.Url,
        Environment = new Dictionary<string, string>
        {
            ["REGISTRY_LOG_AUDIT_PATH"] = AuditPath,
            ["REGISTRY_PROXY_MAX_SIZE"] = "6MiB",
        },
    };

    [Fact]
    public async Task A_pinned_image_is_listed_as_such_and_is_not_purged_until_it_is_unpinned()
    {
        var image = Hub.AddImage(Repository, "1", Layer);
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, Layer.Digest]);

        var (code, output) = await Mirror.VerbAsync("pin", "library/nginx:1");
        Assert.Equal((0, "library/nginx:1 is pinned"), (code, output));
        (_, output) = await Mirror.VerbAsync("pin", "library/nginx:1");
        Assert.Equal("library/nginx:1 was pinned already", output);
        await Mirror.StopAsync();
        await Mirror.StartAgainAsync();
        await Mirror.ImagesAsync(list => list is [var only] && only.GetProperty("pinned").GetBoolean());
        foreach (var what in new[] { "library/nginx:1", "library/nginx" })
            using (var refused = await Mirror.AskAdminAsync(HttpMethod.Post, "purge", new { image = what }))
                await AssertErrorAsync(HttpStatusCode.Conflict, refused);

        (code, output) = await Mirror.VerbAsync("unpin", "library/nginx:1");
        Assert.Equal((0, "library/nginx:1 is not pinned"), (code, output));
        await Mirror.ImagesAsync(list => list is [var only] && !only.GetProperty("pinned").GetBoolean());
        await Mirror.PostAdminAsync("purge", new { image = "library/nginx:1" });

        var events = (await File.ReadAllLinesAsync(AuditPath, Cancel)).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["pin", "pin", "denied", "denied", "unpin", "purge"], events.Select(each => each.GetProperty("event").GetString()));
        Assert.All(events, each => Assert.Equal("administrator", each.GetProperty("user").GetString()));
        Assert.Equal("library/nginx", events[^1].GetProperty("repository").GetString());
        Assert.Equal("1", events[^1].GetProperty("target").GetString());
    }

    [Fact]
    public async Task No_eviction_takes_a_pinned_image_and_a_dry_run_says_what_it_would_take()
    {
        var kept = HubBlob.Seeded(20, MiB);
        var image = Hub.AddImage(Repository, "1", kept);
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, kept.Digest]);
        HubBlob[] others = [.. Enumerable.Range(0, 3).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(30 + i, MiB)))];
        foreach (var blob in others)
            await PullBlobAsync(blob);

        await Mirror.ImagesAsync(list => list is [var only] && only.GetProperty("whole").GetBoolean());
        Assert.Equal(2, (await Mirror.VerbAsync("evict")).Code);
        var (code, output) = await Mirror.VerbAsync("evict", "--dry-run", "--layers", "--limit", "2MB");
        Assert.Equal(0, code);
        Assert.Equal(kept.Digest.ToString(), FirstDigestIn(output));
        Assert.Contains("library/nginx:1", output);
        Assert.True(IsStored(kept.Digest));
        await Mirror.PostAdminAsync("pin", new { image = "library/nginx:1" });
        (_, output) = await Mirror.VerbAsync("evict", "--dry-run", "--layers", "--limit", $"{2 * MiB}");
        Assert.Equal(others[0].Digest.ToString(), FirstDigestIn(output));

        for (var i = 0; i < 3; i++)
            await PullBlobAsync(Hub.AddBlob(Repository, HubBlob.Seeded(40 + i, MiB)));
        await Until.TrueAsync(() => !IsStored(others[0].Digest), () => string.Join('\n', Mirror.Log));
        Assert.True(IsStored(kept.Digest));
        Hub.Log.Clear();
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, kept.Digest]);
        Assert.Equal(0, Hub.Log.BodyBytes(kept.Digest));

        static string FirstDigestIn(string text) =>
            text.Split(' ', '\n').First(word => word.StartsWith("sha256:", StringComparison.Ordinal));

        async Task PullBlobAsync(HubBlob blob)
        {
            using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
                await DigestOfAsync(response);
            await Until.TrueAsync(() => IsStored(blob.Digest), () => string.Join('\n', Mirror.Log));
        }
    }

    [Fact]
    public async Task A_pin_needs_a_tag_and_need_not_be_stored_yet()
    {
        foreach (var what in new[] { "library/nginx", $"library/nginx@{Layer.Digest}" })
            using (var refused = await Mirror.AskAdminAsync(HttpMethod.Post, "pin", new { image = what }))
                await AssertErrorAsync(HttpStatusCode.BadRequest, refused);
        Assert.True((await Mirror.PostAdminAsync("pin", new { image = "library/nginx:later" })).GetProperty("changed").GetBoolean());
        Assert.False((await Mirror.PostAdminAsync("unpin", new { image = "library/nginx:other" })).GetProperty("changed").GetBoolean());
    }
}
