using System.Text;
using Mirror.Storage.Files;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Files;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>Which blobs an eviction deletes, and which never.</summary>
public sealed partial class EvictorTests : IDisposable
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
            await CopyAsync(name, shared);
        await CopyAsync(AlsoMirrored, mirrored);
        var pushed = await _store.ImageAsync(Hosted, "1", own, shared);
        var pulled = await _store.MarkAsync(Mirrored, await _store.ImageAsync(Mirrored, "1", mirrored, shared), Provenance.Copied);
        await _store.AgeAsync(TimeSpan.FromHours(1));

        Assert.Equal(new Eviction(1, Size, 0), await EvictAsync(1));

        foreach (var kept in new[] { own, shared, pushed, pulled })
            Assert.True(await _store.HasAsync(kept));
        Assert.True(await _store.References.HasBlobAsync(Mirrored, shared, Stop));
        Assert.False(await _store.References.HasBlobAsync(AlsoMirrored, mirrored, Stop));
    }

    [Fact]
    public async Task A_blob_stored_a_moment_ago_goes_where_nothing_else_can()
    {
        var blob = await BlobAsync(Mirrored, 1);
        await _store.AgeAsync(TimeSpan.FromSeconds(1));

        Assert.Equal(new Eviction(1, Size, 0), await EvictAsync(1));
        Assert.False(await _store.HasAsync(blob));
    }

    [Fact]
    public async Task A_blob_that_is_being_read_stays()
    {
        var (read, other) = (await BlobAsync(Mirrored, 1), await BlobAsync(Mirrored, 2));
        await _store.AgeAsync(TimeSpan.FromHours(1));

        await using (await _store.Content.OpenAsync(read, Stop))
            Assert.Equal(new Eviction(1, Size, Size), await EvictAsync(1));
        Assert.True(await _store.HasAsync(read));
        Assert.False(await _store.HasAsync(other));

        Assert.Equal(new Eviction(1, Size, 0), await EvictAsync(1));
    }

    [Fact]
    public async Task One_index_serves_many_evictions_and_no_blob_goes_that_was_used_or_pushed_since()
    {
        var blobs = new List<Digest>();
        for (var i = 0; i < 6; i++)
        {
            blobs.Add(await BlobAsync(Mirrored, i));
            await _store.AgeAsync(TimeSpan.FromHours(1));
        }
        var evictor = Evictor();
        var cached = await evictor.ListCachedAsync(IsMirrored, Stop);
        Assert.NotNull(cached);
        Assert.Equal(6 * Size, cached.Bytes);

        Assert.Equal(new Eviction(1, Size, 5 * Size), await evictor.EvictAsync(cached, 1, Stop));
        await _store.Content.TouchAsync(blobs[1], Stop);
        // As a push does it: the link comes first.
        await _store.References.LinkBlobAsync(Hosted, blobs[2], Stop);
        await _store.BlobAsync(Hosted, new string('c', Size));
        var later = await BlobAsync(Mirrored, 7);

        Assert.Equal(new Eviction(3, 3 * Size, 2 * Size), await evictor.EvictAsync(cached, long.MaxValue, Stop));
        Assert.True(cached.IsSpent);
        foreach (var kept in new[] { blobs[1], blobs[2], later })
            Assert.True(await _store.HasAsync(kept));
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
    public async Task What_was_pushed_or_may_have_been_stays_in_a_mirrored_repository_too()
    {
        var copied = await BlobAsync(Mirrored, 1);
        var unmarked = await UnmarkedBlobAsync(Mirrored, 2);
        var pushed = await _store.MarkAsync(Mirrored, await UnmarkedBlobAsync(Mirrored, 3), Provenance.Pushed);
        var both = await _store.MarkAsync(Mirrored, await BlobAsync(Mirrored, 4), Provenance.Pushed);
        var elsewhere = await BlobAsync(AlsoMirrored, 5);
        await _store.MarkAsync(Mirrored, await UnmarkedBlobAsync(Mirrored, 5), Provenance.Pushed);
        await _store.AgeAsync(TimeSpan.FromHours(1));

        Assert.Equal(new Eviction(1, Size, 0), await EvictAsync(0));

        Assert.False(await _store.HasAsync(copied));
        foreach (var kept in new[] { unmarked, pushed, both, elsewhere })
            Assert.True(await _store.HasAsync(kept));
    }

    [Fact]
    public async Task What_a_pushed_manifest_names_stays_though_it_was_copied()
    {
        var (config, layer, other) = (await BlobAsync(Mirrored, 1), await BlobAsync(Mirrored, 2), await BlobAsync(Mirrored, 3));
        var image = await _store.MarkAsync(Mirrored, await _store.ImageAsync(Mirrored, null, config, layer), Provenance.Copied);
        await _store.MarkAsync(Mirrored, await _store.ManifestAsync(Mirrored, "1", SweptStore.Index(image)), Provenance.Pushed);
        await _store.AgeAsync(TimeSpan.FromHours(1));

        Assert.Equal(new Eviction(1, Size, 0), await EvictAsync(0));

        Assert.True(await _store.HasAsync(config));
        Assert.True(await _store.HasAsync(layer));
        Assert.False(await _store.HasAsync(other));
    }

    // It has the right bytes, and a client may read them: the layers that it names are not known.
    [Theory]
    [InlineData(Provenance.Pushed, false, true)]
    [InlineData(Provenance.Copied, true, true)]
    [InlineData(Provenance.Copied, false, false)]
    public async Task A_pushed_or_pinned_manifest_that_cannot_be_read_keeps_every_blob_of_its_repository(
        Provenance provenance, bool isPinned, bool stays)
    {
        var (layer, other) = (await BlobAsync(Mirrored, 1), await BlobAsync(AlsoMirrored, 2));
        await _store.MarkAsync(
            Mirrored, await _store.ManifestAsync(Mirrored, "1", "\ufeff" + SweptStore.Image(layer, [])), provenance);
        var pins = new FilePinStore(new StoreRoot(_store.Root, isChecked: false));
        if (isPinned)
            await pins.PinAsync(Mirrored, "1", Stop);
        await _store.AgeAsync(TimeSpan.FromHours(1));

        var evictor = Evictor(new EvictorOptions { Pins = pins });
        await evictor.EvictAsync((await evictor.ListCachedAsync(IsMirrored, Stop))!, 10 * Size, Stop);

        Assert.Equal(stays, await _store.HasAsync(layer));
        Assert.False(await _store.HasAsync(other));
    }

    [Fact]
    public async Task An_evicted_blob_takes_its_mark_with_it()
    {
        var blob = await BlobAsync(Mirrored, 1);
        await _store.AgeAsync(TimeSpan.FromHours(1));

        await EvictAsync(0);

        Assert.Null(await _store.Provenance.FindAsync(Mirrored, blob, Stop));
    }

    [Fact]
    public async Task There_is_one_eviction_at_a_time_also_beside_a_collection()
    {
        await using (await _store.Sweepable.ForEvictions.BeginAsync(Stop))
            Assert.Null(await EvictAsync(1));
        await using (await _store.Sweepable.BeginAsync(Stop))
            Assert.NotNull(await EvictAsync(1));
    }

    private static bool IsMirrored(RepositoryName name) => name != Hosted;

    private Evictor Evictor(EvictorOptions? options = null) =>
        new(_store.Content, _store.References, _store.Sweepable, _store.Provenance, options);

    // As the server does it: a tenth of the limit is free afterwards.
    private async Task<Eviction?> EvictAsync(long most, Func<RepositoryName, bool>? isMirrored = null)
    {
        if (await Evictor().ListCachedAsync(isMirrored ?? IsMirrored, Stop) is not { } cached)
            return null;
        var excess = cached.Bytes > most ? cached.Bytes - (most - most / 10) : 0;
        return await Evictor().EvictAsync(cached, excess, Stop);
    }

    // A blob as a push to the hosted repository leaves it, or a download to one of the others.
    private async Task<Digest> BlobAsync(RepositoryName name, int i) =>
        await _store.MarkAsync(
            name, await UnmarkedBlobAsync(name, i), name == Hosted ? Provenance.Pushed : Provenance.Copied);

    private static Digest BlobDigest(int i) => Digest.Of(Encoding.UTF8.GetBytes(new string((char)('a' + i), Size)));

    private Task<Digest> UnmarkedBlobAsync(RepositoryName name, int i) => _store.BlobAsync(name, new string((char)('a' + i), Size));

    private async Task CopyAsync(RepositoryName name, Digest digest)
    {
        await _store.MarkAsync(name, digest, Provenance.Copied);
        await _store.References.LinkBlobAsync(name, digest, Stop);
    }
}
