using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// An older version and this one take turns on one store, with clients that go on. <c>tests/two-versions.sh</c> builds the older one and
/// runs this; without it this is skipped.
/// </summary>
public sealed class TwoVersionsTests
{
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(Figures.Count(20, 60));

    [Fact]
    public async Task Back_and_forward_nothing_is_lost_and_nothing_wrong_is_sent()
    {
        if (Environment.GetEnvironmentVariable("MIRROR_OLDER") is not { Length: > 0 } older)
        {
            Assert.Skip("MIRROR_OLDER names no program");
            return;
        }
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = hub.Url, TagsCacheTtl = "0", Older = older });
        var clients = new LawfulClients(mirror, hub);
        var changes = 0;
        using (var over = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken))
        {
            over.CancelAfter(Length);
            await Task.WhenAll(clients.WorkAsync(1, over.Token), ChangeAsync(over.Token));
        }
        // Each of them has all of it.
        for (var i = 0; i < 2; i++)
        {
            await clients.AssertNothingLostAsync();
            Assert.Equal(0, (await mirror.RunAsync("verify")).Code);
            await ChangeOnceAsync();
        }
        Figures.Report($"{changes} changes of the version in {Length.TotalSeconds} s: {clients.Figures}");

        async Task ChangeAsync(CancellationToken over)
        {
            while (!over.IsCancellationRequested)
            {
                await Task.Delay(1000, CancellationToken.None);
                await ChangeOnceAsync();
            }
        }

        // In turn by SIGTERM and by SIGKILL.
        async Task ChangeOnceAsync()
        {
            await (changes % 4 < 2 ? mirror.StopAsync() : mirror.KillAsync());
            mirror.Change(settings => settings with { Older = settings.Older is null ? older : null });
            await mirror.StartAgainAsync();
            changes++;
        }
    }
}
