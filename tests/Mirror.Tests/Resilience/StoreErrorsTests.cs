using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>One of a hundred calls of the store fails, whichever it is.</summary>
public sealed class StoreErrorsTests
{
    private const int InputOutputError = 5;

    private static readonly int Rounds = Figures.Count(6, 1000);

    [Fact]
    public async Task In_a_folder_nothing_is_lost_and_nothing_wrong_is_sent()
    {
        DiskFaults.Availability.OrSkip();
        using var folder = new TempFolder();
        using var faults = new DiskFaults(folder.Path);
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = hub.Url, TagsCacheTtl = "0", Root = folder.Folder("root"), Faults = faults });
        var clients = new LawfulClients(mirror, hub);
        faults.FailSome(Figures.Random(14), 0.01, InputOutputError);
        await clients.WorkAsync(Rounds, new CancellationToken(canceled: true));
        faults.Stop();
        await clients.AssertNothingLostAsync();
        Assert.Equal(0, (await mirror.RunAsync("verify")).Code);
        Figures.Report($"a folder with 1 % of failing calls: {clients.Figures}");
    }

    [Fact]
    public async Task In_a_bucket_nothing_is_lost_and_nothing_wrong_is_sent()
    {
        MirrorProcess.Availability.OrSkip();
        using var folder = new TempFolder();
        await using var store = await GoogleStorage.StartAsync();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            TagsCacheTtl = "0",
            Driver = $"  gcs:\n    bucket: {GoogleStorage.Bucket}\n    keyfile: {folder.Write("key.json", store.KeyFile())}\n"
                + $"    rootdirectory: /registry\n    endpoint: {store.Url}\n  redirect: {{disable: true}}\n",
        });
        var clients = new LawfulClients(mirror, hub);
        var random = Figures.Random(15);
        store.Faults.Set(_ =>
        {
            lock (random)
                return random.NextDouble() >= 0.01 ? null
                    : random.Next(2) == 0 ? StoreFault.Status(random.Next(2) == 0 ? 500 : 503)
                    : StoreFault.CutAfter(random.Next(100));
        });
        await clients.WorkAsync(Rounds, new CancellationToken(canceled: true));
        store.Faults.Clear();
        await clients.AssertNothingLostAsync();
        Figures.Report($"a bucket with 1 % of failing requests ({store.Faults.Count}): {clients.Figures}");
    }
}
