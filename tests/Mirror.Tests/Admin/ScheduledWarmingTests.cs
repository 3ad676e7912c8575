using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary><c>proxy.warm</c>.</summary>
public sealed class ScheduledWarmingTests : MirrorOfHub
{
    private const string Lists = """
          warm:
            lists:
            - images: [library/nginx:1, "library/nginx:absent"]
              platforms: [linux/amd64]
              every: 1s
        """;

    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "1s", More = Lists };

    public static bool IsFull => Figures.Full;

    [Fact(SkipUnless = nameof(IsFull), Skip = "takes half a minute: MIRROR_TESTS=full")]
    public async Task The_most_pulled_tags_are_checked_before_their_time_is_up()
    {
        var often = Hub.AddImage(Repository, "often", HubBlob.Seeded(3, 1000));
        Hub.AddImage(Repository, "seldom", HubBlob.Seeded(4, 1000));
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, TagsCacheTtl = "30s", More = "  warm: {learn: 1}\n" });
        await mirror.PullAsync(Repository, "seldom");
        await mirror.PullAsync(Repository, "often");
        await mirror.PullAsync(Repository, "often");
        // The question makes the server write its pulls.
        await mirror.ImagesAsync(list => list.Length == 2);
        Hub.Log.Clear();

        await Until.TrueAsync(() => Checks("often") == 1, () => string.Join('\n', mirror.Log));
        Assert.Equal(0, Checks("seldom"));
        // A check is no pull.
        Assert.DoesNotContain(Hub.Log.Requests, request => request is { Asked: Asked.Manifest, Method: "GET" }
            && (request.Path.EndsWith("/often", StringComparison.Ordinal)
                || request.Path.EndsWith($"/{often.Digest}", StringComparison.Ordinal)));

        int Checks(string tag) => Hub.Log.Requests.Count(request => request is { Asked: Asked.Manifest, Method: "HEAD" }
            && request.Path.EndsWith($"/{tag}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_tag_that_is_held_during_its_cooldown_ends_neither_the_list_nor_the_server()
    {
        Hub.AddImage(Repository, "1", HubBlob.Seeded(1, 30_000));
        var other = Hub.AddImage("acme/app", "1", HubBlob.Seeded(2, 30_000));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = Hub.Url,
            TagsCacheTtl = "1s",
            More = "  warm: {lists: [{images: [library/nginx:1, acme/app:1], every: 1s}]}\n"
                + "  policies: [{match: library/*, cooldown: 72h, cooldown_new: hold}]\n",
        });
        await mirror.UntilStoredAsync(BlobPath(other.Layers[0].Digest, "acme/app"));
        await mirror.UntilLoggedAsync(
            line => line.Contains("library/nginx:1 of proxy.warm could not be fetched", StringComparison.Ordinal));
        var warmed = await mirror.AskAdminAsync(HttpMethod.Post, "warm", new { images = new[] { "library/nginx:1", "acme/app:1" } });
        var outcomes = await warmed.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        warmed.Dispose();
        Assert.Contains("is new here", outcomes, StringComparison.Ordinal);
        Assert.Contains("acme/app:1", outcomes, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_list_is_fetched_on_its_schedule_and_a_failure_of_one_image_stops_no_other()
    {
        var first = Hub.AddImage(Repository, "1", HubBlob.Seeded(1, 30_000));
        await Until.TrueAsync(() => IsStored(first.Layers[0].Digest), () => string.Join('\n', Mirror.Log));

        var second = Hub.AddImage(Repository, "1", HubBlob.Seeded(2, 30_000));
        await Until.TrueAsync(() => IsStored(second.Layers[0].Digest), () => string.Join('\n', Mirror.Log));
        Assert.Contains(Mirror.Log, line => line.Contains("library/nginx:absent of proxy.warm could not be fetched"));
    }
}
