using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Patterns of hosted names that come to match mirrored repositories.</summary>
public sealed class FrozenCopiesTests : MirrorOfHub
{
    private readonly TempFolder _volume = new();

    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, Root = _volume.Path, Hosted = "[team/*]" };

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _volume.Dispose();
    }

    [Fact]
    public async Task The_start_names_the_repositories_that_upstream_is_not_asked_for_any_more()
    {
        Hub.AddImage("library/app", "1", HubBlob.Seeded(2, 1 << 20));
        using (var pulled = await Mirror.GetAsync(ManifestPath("1", "library/app")))
            Assert.Equal(HttpStatusCode.OK, pulled.StatusCode);
        await new PushedRepository(Mirror, "team/app").PushAsync(UploadTests.Bytes(1000));
        await Mirror.StopAsync();

        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Root = _volume.Path, Hosted = "[team/*, library/*]" });
        await mirror.UntilLoggedAsync(line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains("1 repositories have images from upstream, but hosted.repositories now matches", StringComparison.Ordinal)
            && line.Contains("delete the old tags: library/app", StringComparison.Ordinal));
    }
}
