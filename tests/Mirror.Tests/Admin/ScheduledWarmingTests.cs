using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
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
