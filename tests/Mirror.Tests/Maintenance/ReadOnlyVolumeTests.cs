using Mirror.Tests.Notifications;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>A volume that is mounted read-only, such as a snapshot: what works on it, and what the commands say.</summary>
public sealed class ReadOnlyVolumeTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_dry_run_reports_and_a_collection_names_the_reason(bool wasCollected)
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        var root = Path.Combine(volume.Path, "root");
        await using (var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = root }))
            await new PushedRepository(mirror, "local/app").PushManifestAsync("1");
        // An earlier collection has left the file of its lock.
        if (wasCollected)
            Assert.Equal(0, (await CollectAsync(root)).Code);
        await volume.RemountAsync("ro");

        var (code, output) = await CollectAsync(root, "--dry-run");
        Assert.Equal((0, true), (code, output.Contains("would free", StringComparison.Ordinal)));
        (code, output) = await CollectAsync(root);
        Assert.Equal(1, code);
        Assert.Contains("error: the garbage collection stopped: Read-only file system", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_registry_with_an_endpoint_of_events_serves_it()
    {
        await using var receiver = new EventReceiver();
        await receiver.StartAsync();
        await using var volume = await LoopVolume.MountAsync(24, 160);
        var root = Path.Combine(volume.Path, "root");
        await using (var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = root }))
            await new PushedRepository(mirror, "local/app").PushManifestAsync("1");
        await volume.RemountAsync("ro");

        var notifications = $"notifications: {{endpoints: [{{name: spy, url: \"{receiver.Url}\"}}]}}";
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { Root = root, More = notifications });
        (await registry.GetAsync("local/app/manifests/1")).Dispose();
        await receiver.UntilAsync(1);
        Assert.Equal(["pull"], receiver.Actions);
        await registry.UntilLoggedAsync(line => line.Contains("events for endpoint spy wait in", StringComparison.Ordinal));
    }

    private static async Task<(int Code, string Output)> CollectAsync(string root, params string[] options)
    {
        await using var process = PeerProcess.Start(
            "dotnet", [MirrorProcess.Program, "garbage-collect", .. options],
            new Dictionary<string, string> { ["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"] = root });
        return (await process.ExitCodeAsync(), process.Output);
    }
}
