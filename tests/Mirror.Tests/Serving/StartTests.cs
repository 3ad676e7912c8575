using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>What a start does, and does not do.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task Nothing_is_watched_in_the_folder_it_is_started_in()
    {
        MirrorProcess.Availability.OrSkip();
        // A watch for every folder below it, each time: with the store there, a start that grows with what is stored.
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        Assert.DoesNotContain("anon_inode:inotify", mirror.Open);
        Assert.Contains(mirror.Open, static open => open?.StartsWith("socket:", StringComparison.Ordinal) == true);
    }
}
