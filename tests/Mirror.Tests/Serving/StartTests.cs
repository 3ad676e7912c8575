using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>The start of the server.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task The_working_folder_is_not_watched()
    {
        MirrorProcess.Availability.OrSkip();
        // The framework would watch every folder below it. With the store there, the start would take longer with everything stored.
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        Assert.DoesNotContain("anon_inode:inotify", mirror.Open);
        Assert.Contains(mirror.Open, static open => open?.StartsWith("socket:", StringComparison.Ordinal) == true);
    }
}
