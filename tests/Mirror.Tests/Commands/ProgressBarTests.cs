using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Commands;

/// <summary>On a terminal, <c>warm</c> shows a bar for each image; elsewhere it writes plain lines.</summary>
public sealed class ProgressBarTests : MirrorOfHub
{
    private const char Escape = '\u001b';
    private const char Bar = '━';

    [Fact]
    public async Task A_bar_is_shown_on_a_terminal_only_and_the_summary_in_any_case()
    {
        Availability.Of("script").OrSkip();
        const string summary = "1 of 1 images are stored";
        Hub.AddImage(Repository, "1", HubBlob.Seeded(1, 30_000));
        string[] command = ["dotnet", MirrorProcess.Program, "warm", "library/nginx:1", "--config", Mirror.ConfigFile];

        await using (var plain = PeerProcess.Start(command[0], command[1..]))
        {
            Assert.Equal(0, await plain.ExitCodeAsync());
            Assert.Contains(summary, plain.Output, StringComparison.Ordinal);
            Assert.DoesNotContain(Escape, plain.Output);
            Assert.DoesNotContain(Bar, plain.Output);
        }
        await using var terminal = PeerProcess.Start(
            "script", ["-qec", string.Join(' ', command), "/dev/null"],
            new Dictionary<string, string> { ["LC_ALL"] = "C.UTF-8", ["TERM"] = "xterm" });
        Assert.Equal(0, await terminal.ExitCodeAsync());
        Assert.Contains(Bar, terminal.Output);
        Assert.Contains(summary, terminal.Output, StringComparison.Ordinal);
    }
}
