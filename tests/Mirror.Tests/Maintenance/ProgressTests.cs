using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Mirror.Commands;
using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Maintenance;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>A command that takes long says how far it is.</summary>
public sealed class ProgressTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task A_line_comes_every_ten_seconds_until_the_end()
    {
        using var written = new StringWriter();
        var done = 0;
        await using (new ProgressLines(_time, written, () => $"{done} done"))
            for (; done < 25; done++)
                _time.Advance(TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal($"so far: 9 done{Environment.NewLine}so far: 19 done{Environment.NewLine}", written.ToString());
    }

    [Fact]
    public async Task A_garbage_collection_says_what_it_has_done()
    {
        using var written = new StringWriter();
        var progress = new SweepProgress { Repositories = 2, Marked = 8 };
        await using (new ProgressLines(_time, written, () => GarbageCollectCommand.SoFar(progress)))
            _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal($"so far: 2 repositories read, 8 blobs marked{Environment.NewLine}", written.ToString());
    }

    [Fact]
    public async Task Verify_says_what_it_has_read_and_what_it_reads_now()
    {
        using var folder = new TempFolder();
        var options = new MirrorOptions();
        options.Storage.Filesystem.RootDirectory = folder.Path;
        await using var stores = options.Storage.Open();
        var bytes = new byte[1000];
        var digest = Digest.Of(bytes);
        await stores.GetRequiredService<IContentStore>().PutAsync(digest, bytes, TestContext.Current.CancellationToken);
        File.WriteAllText(Path.Combine(folder.Path, RegistryLayout.BlobData(digest)), "damage");

        using var progress = new StringWriter();
        using var output = new TakesTime(_time);
        var verifier = ActivatorUtilities.CreateInstance<StoreVerifier>(stores, options, _time);
        await verifier.RunAsync(repair: false, output, progress, TestContext.Current.CancellationToken);

        Assert.StartsWith(
            $"so far: 0 files with 0.0 MiB intact, 0 damaged; reading {digest}, 6 bytes{Environment.NewLine}", progress.ToString(),
            StringComparison.Ordinal);
    }

    /// <summary>Ten seconds go by with each line.</summary>
    private sealed class TakesTime(FakeTimeProvider time) : StringWriter
    {
        public override Task WriteLineAsync(string? value)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            return base.WriteLineAsync(value);
        }
    }
}
