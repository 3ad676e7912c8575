using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>Evictions in a store with several machines, whose clocks differ.</summary>
public sealed class ClockSkewTests : IDisposable
{
    private static readonly RepositoryName Name = RepositoryName.Parse("library/app");

    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_a_machine_whose_clock_is_behind_stores_after_the_marking_is_not_evicted()
    {
        var dates = new SetClock();
        var behind = TimeSpan.Zero;
        var options = new MemoryOptions { MaxSize = 1 << 20, ScratchDirectory = _folder.Folder("scratch") };
        using var bucket = new AgedBucket(
            new MemoryBucket(options, dates), date => date > dates.Now - TimeSpan.FromMinutes(1) ? date - behind : date);
        var content = new BucketContentStore(bucket, options, TimeProvider.System);
        var references = new BucketReferenceStore(bucket, TimeProvider.System);
        var provenance = new BucketProvenanceStore(bucket);
        var (pushed, other) = (await CopyAsync("pushed later"), await CopyAsync("other"));
        dates.Now += TimeSpan.FromHours(2);
        var evictor = new Evictor(
            content, references, new BucketSweepStore(bucket, options.ScratchDirectory, TimeProvider.System), provenance);
        var cached = await evictor.ListCachedAsync(_ => true, Cancel);

        // A push to a repository that the marking has passed. Another machine dates its claim.
        behind = TimeSpan.FromSeconds(2);
        dates.Now += TimeSpan.FromSeconds(1);
        await references.LinkBlobAsync(RepositoryName.Parse("local/app"), pushed, Cancel);
        Assert.True(await content.TouchAsync(pushed, Cancel));

        Assert.Equal(1, (await evictor.EvictAsync(cached!, long.MaxValue, Cancel))!.Blobs);
        Assert.NotNull(await content.SizeAsync(pushed, Cancel));
        Assert.Null(await content.SizeAsync(other, Cancel));

        async Task<Digest> CopyAsync(string text)
        {
            var bytes = System.Text.Encoding.UTF8.GetBytes(text);
            var digest = Digest.Of(bytes);
            await provenance.MarkAsync(Name, digest, Provenance.Copied, Cancel);
            await references.LinkBlobAsync(Name, digest, Cancel);
            await content.PutAsync(digest, bytes, Cancel);
            return digest;
        }
    }

    private sealed class SetClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UtcNow;

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
