using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Tests.Files;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>Which blobs an eviction deletes, and which never.</summary>
public sealed class EvictorTests : IDisposable
{
    private const int Size = 1000;

    private static readonly RepositoryName Mirrored = RepositoryName.Parse("library/nginx");
    private static readonly RepositoryName AlsoMirrored = RepositoryName.Parse("library/alpine");
    private static readonly RepositoryName Hosted = RepositoryName.Parse("local/app");

    private readonly FileSweptStore _store = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _store.Dispose();

    [Theory]
    [InlineData(10_000, 0)]
    [InlineData(9_999, 1)]
    // A tenth of the limit is free afterwards.
    [InlineData(9_000, 2)]
    [InlineData(5_000, 6)]
    [InlineData(1, 10)]
    public async Task The_least_recently_used_are_deleted_and_no_more_than_needed(long most, int gone)
    {
        var blobs = new List<Digest>();
        for (var i = 0; i < 10; i++)
        {
            blobs.Add(await BlobAsync(Mirrored, i));
            await _store.AgeAsync(TimeSpan.FromHours(1));
        }

        var result = await EvictAsync(most);

        Assert.Equal(new Eviction(gone, gone * Size, (10 - gone) * Size), result);
        foreach (var (i, blob) in blobs.Index())
        {
            Assert.Equal(i >= gone, await _store.HasAsync(blob));
            Assert.Equal(i >= gone, await _store.References.HasBlobAsync(Mirrored, blob, Stop));
        }
    }

    [Fact]
    public async Task Of_blobs_of_the_same_age_no_more_than_needed_are_deleted()
    {
        for (var i = 0; i < 10; i++)
            await BlobAsync(Mirrored, i);
        await _store.AgeAsync(TimeSpan.FromHours(1));

        Assert.Equal(new Eviction(3, 3 * Size, 7 * Size), await EvictAsync(8_000));
    }

    [Fact]
    public async Task Only_blobs_that_can_be_fetched_again_count_and_are_deleted()
    {
        var (own, shared, mirrored) = (await BlobAsync(Hosted, 1), await BlobAsync(Hosted, 2), await BlobAsync(Mirrored, 3));
        foreach (var name in new[] { Mirrored, AlsoMirrored })
            await _store.References.LinkBlobAsync(name, shared, Stop);
        await _store.References.LinkBlobAsync(AlsoMirrored, mirrored, Stop);
        var pushed = await _store.ImageAsync(Hosted, "1", own, shared);
        var pulled = await _store.ImageAsync(Mirrored, "1", mirrored, shared);
        await _store.AgeAsync(TimeSpan.FromHours(1));

        Assert.Equal(new Eviction(1, Size, 0), await EvictAsync(1));

        foreach (var kept in new[] { own, shared, pushed, pulled })
            Assert.True(await _store.HasAsync(kept));
        Assert.True(await _store.References.HasBlobAsync(Mirrored, shared, Stop));
        Assert.False(await _store.References.HasBlobAsync(AlsoMirrored, mirrored, Stop));
    }

    [Fact]
    public async Task A_blob_stored_in_the_last_minute_stays()
    {
        var blob = await BlobAsync(Mirrored, 1);

        Assert.Equal(new Eviction(0, 0, Size), await EvictAsync(1));
        Assert.True(await _store.HasAsync(blob));
    }

    [Fact]
    public async Task A_blob_that_is_touched_meanwhile_stays()
    {
        var (used, unused) = (await BlobAsync(Mirrored, 1), await BlobAsync(Mirrored, 2));
        await _store.AgeAsync(TimeSpan.FromHours(1));

        var result = await EvictAsync(1, name =>
        {
            Assert.True(_store.Content.TouchAsync(used, Stop).AsTask().Result);
            return IsMirrored(name);
        });

        Assert.Equal(new Eviction(1, Size, Size), result);
        Assert.True(await _store.HasAsync(used));
        Assert.False(await _store.HasAsync(unused));
    }

    [Fact]
    public async Task There_is_one_sweep_at_a_time()
    {
        await using (await _store.Sweepable.BeginAsync(Stop))
            Assert.Null(await EvictAsync(1));
        Assert.NotNull(await EvictAsync(1));
    }

    private static bool IsMirrored(RepositoryName name) => name != Hosted;

    private Task<Eviction?> EvictAsync(long most, Func<RepositoryName, bool>? isMirrored = null) =>
        new Evictor(_store.Content, _store.References, _store.Sweepable).EvictAsync(most, isMirrored ?? IsMirrored, Stop);

    private Task<Digest> BlobAsync(RepositoryName name, int i) => _store.BlobAsync(name, new string((char)('a' + i), Size));
}
