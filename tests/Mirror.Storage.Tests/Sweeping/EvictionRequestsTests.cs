using System.Reflection;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Buckets;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>
/// What an eviction asks a bucket: of 600 images, with <c>MIRROR_TESTS=full</c> of 100,000.
/// </summary>
public sealed class EvictionRequestsTests
{
    private const int Page = 1000;

    private static readonly bool Full = Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full";
    private static readonly int Repositories = Full ? 500 : 3;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_pass_costs_lists_for_each_repository_and_no_request_for_each_image_or_blob()
    {
        const int each = 200;
        using var counted = new CountedStore();
        using var store = await BucketSweptStore.CreateAsync(counted);
        for (var r = 0; r < Repositories; r++)
        {
            var name = RepositoryName.Parse($"library/app{r}");
            for (var i = 0; i < each; i++)
            {
                // The layers of a repository share a base.
                Digest[] blobs = [await BlobAsync(name, $"base {r}"), await BlobAsync(name, $"layer {r} {i}")];
                await store.MarkAsync(
                    name, await store.ImageAsync(name, $"{i}", await BlobAsync(name, $"config {r} {i}"), blobs), Provenance.Copied);
            }
        }
        var notes = new Notes();
        var evictor = new Evictor(
            store.Content, store.References, store.Sweepable, store.Provenance, new EvictorOptions { Notes = notes });

        // The first pass reads each manifest once and notes what it names.
        var first = await RequestsAsync(() => evictor.ListCachedAsync(_ => true, Stop));
        CachedImages? cached = null;
        var second = await RequestsAsync(async () => cached = await evictor.ListCachedAsync(_ => true, Stop));

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Repositories * each} images: {first} requests at first, {second} then, of which {counted.Objects / Page} for the objects");
        // An index offers the oldest images, with 100,000 parts: of each of these a manifest, a config and two layers.
        Assert.Equal(Math.Min(Repositories * each, 25_000), cached!.Offered.Count());
        Assert.Equal(Repositories * each, notes.Count);
        // Links, marks of copies and of pushes, manifests: the lists of a repository, each of one page.
        Assert.InRange(second, 1, Repositories * 8 + counted.Objects / Page + 50);

        async Task<long> RequestsAsync(Func<Task> act)
        {
            counted.Reset();
            await act();
            return counted.Requests + counted.Objects / Page;
        }

        async Task<Digest> BlobAsync(RepositoryName name, string text) =>
            await store.MarkAsync(name, await store.BlobAsync(name, text), Provenance.Copied);
    }

    private sealed class Notes : Dictionary<Digest, NotedManifest>, IManifestNotes
    {
        public IReadOnlyDictionary<Digest, NotedManifest> Find(IEnumerable<Digest> manifests) =>
            manifests.Where(ContainsKey).ToDictionary(digest => digest, digest => this[digest]);

        public void Add(IReadOnlyDictionary<Digest, NotedManifest> manifests)
        {
            foreach (var (digest, names) in manifests)
                this[digest] = names;
        }
    }

    /// <summary>A store in memory that counts its calls, and the objects that its lists have given.</summary>
    private sealed class CountedStore : BucketStore
    {
        private readonly IBucket _bucket = DispatchProxy.Create<IBucket, Counted>();

        public CountedStore() => Counts.Inner = new MemoryBucket(new() { MaxSize = 4L << 30 }, TimeProvider.System);

        public long Requests => Interlocked.Read(ref Counts.Requests);

        public long Objects => Interlocked.Read(ref Counts.Objects);

        private Counted Counts => (Counted)_bucket;

        public void Reset() => (Counts.Requests, Counts.Objects) = (0, 0);

        internal override Task<BucketOptions> SettingsAsync() =>
            Task.FromResult<BucketOptions>(new MemoryOptions { ScratchDirectory = Scratch });

        internal override BucketStore Another() => throw new NotSupportedException();

        protected override IBucket Connect(BucketOptions options) => _bucket;
    }

    // DispatchProxy derives from it.
#pragma warning disable CA1852
    private class Counted : DispatchProxy
    {
        internal long Requests;
        internal long Objects;

        internal IBucket Inner { get; set; } = null!;

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            Interlocked.Increment(ref Requests);
            return targetMethod!.Invoke(Inner, args) switch
            {
                IAsyncEnumerable<BucketObject> list => list.Select(found =>
                {
                    Interlocked.Increment(ref Objects);
                    return found;
                }),
                var answer => answer,
            };
        }
    }
}
