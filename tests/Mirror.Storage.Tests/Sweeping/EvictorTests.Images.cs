using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

// Images go as a whole.
public sealed partial class EvictorTests
{
    [Fact]
    public async Task An_image_goes_as_a_whole_and_a_layer_that_another_one_needs_stays()
    {
        var shared = await BlobAsync(Mirrored, 1);
        var (config, layer) = (await BlobAsync(Mirrored, 2), await BlobAsync(Mirrored, 3));
        var old = await CopiedImageAsync("old", config, shared, layer);
        await _store.AgeAsync(TimeSpan.FromHours(1));
        // Its layer was read a moment ago for another image, which says nothing about the old one.
        var (config2, layer2) = (await BlobAsync(Mirrored, 4), await BlobAsync(Mirrored, 5));
        var young = await CopiedImageAsync("young", config2, shared, layer2);
        await _store.AgeAsync(TimeSpan.FromHours(1));
        await _store.Content.TouchAsync(shared, Stop);
        await _store.AgeAsync(TimeSpan.FromMinutes(1));
        List<Digest> removed = [];
        var evictor = Evictor(new EvictorOptions { RemoveManifestAsync = Remove });
        var cached = (await evictor.ListCachedAsync(IsMirrored, Stop))!;

        Assert.Equal(new Eviction(2, 2 * Size, 3 * Size), await evictor.EvictAsync(cached, 1, Stop));
        Assert.Equal([old], removed);
        foreach (var (blob, stays) in new[] { (shared, true), (config, false), (layer, false), (config2, true), (layer2, true) })
            Assert.Equal(stays, await _store.HasAsync(blob));

        Assert.Equal(new Eviction(3, 3 * Size, 0), await evictor.EvictAsync(cached, 1, Stop));
        Assert.Equal([old, young], removed);

        ValueTask Remove(RepositoryName name, Digest manifest, CancellationToken stop)
        {
            removed.Add(manifest);
            return ValueTask.CompletedTask;
        }
    }

    [Fact]
    public async Task An_index_goes_with_its_children_but_for_one_that_another_index_has()
    {
        Digest[] blobs = [await BlobAsync(Mirrored, 1), await BlobAsync(Mirrored, 2), await BlobAsync(Mirrored, 3)];
        Digest[] children =
        [
            await CopiedImageAsync(null, blobs[0]), await CopiedImageAsync(null, blobs[1]), await CopiedImageAsync(null, blobs[2]),
        ];
        var old = await CopiedAsync("old", SweptStore.Index(children[0], children[1]));
        await _store.AgeAsync(TimeSpan.FromHours(1));
        // Stored later, so it is younger.
        var young = await CopiedAsync("young", SweptStore.Index(children[1], children[2]));
        await _store.AgeAsync(TimeSpan.FromMinutes(1));
        HashSet<Digest> removed = [];
        var evictor = Evictor(new EvictorOptions { RemoveManifestAsync = Remove });
        var cached = (await evictor.ListCachedAsync(IsMirrored, Stop))!;

        Assert.Equal(new Eviction(1, Size, 2 * Size), await evictor.EvictAsync(cached, 1, Stop));
        Assert.Equal([old, children[0]], removed);
        Assert.True(await _store.HasAsync(blobs[1]));
        await evictor.EvictAsync(cached, 1, Stop);
        Assert.Equal([old, young, .. children], removed);

        ValueTask Remove(RepositoryName name, Digest manifest, CancellationToken stop)
        {
            Assert.True(removed.Add(manifest));
            return ValueTask.CompletedTask;
        }
    }

    [Fact]
    public async Task Pulls_give_the_order_and_an_image_that_was_pulled_since_stays()
    {
        List<Digest> images = [];
        for (var i = 0; i < 4; i++)
        {
            images.Add(await CopiedImageAsync($"{i}", await BlobAsync(Mirrored, i)));
            await _store.AgeAsync(TimeSpan.FromHours(1));
        }
        var now = DateTimeOffset.UtcNow;
        // A client that has the layers asks for the manifest alone. A clock that was wrong makes nothing younger than now.
        var uses = new Uses { [images[0]] = now.AddMinutes(-5), [images[1]] = now.AddYears(1) };
        var evictor = Evictor(new EvictorOptions { Uses = uses });
        var cached = (await evictor.ListCachedAsync(IsMirrored, Stop))!;
        Assert.Equal([images[2], images[3], images[0], images[1]], cached.Offered.Select(image => image.Root));

        uses[images[2]] = now;
        await evictor.EvictAsync(cached, 1, Stop);
        Assert.True(await _store.HasAsync(BlobDigest(2)));
        Assert.False(await _store.HasAsync(BlobDigest(3)));
    }

    [Fact]
    public async Task An_image_larger_than_all_others_goes_before_them()
    {
        var small = await CopiedImageAsync("small", await BlobAsync(Mirrored, 1), await BlobAsync(Mirrored, 2));
        await _store.AgeAsync(TimeSpan.FromHours(1));
        var large = await CopiedImageAsync(
            "large", await BlobAsync(Mirrored, 3), await BlobAsync(Mirrored, 4), await BlobAsync(Mirrored, 5));
        await _store.AgeAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(new Eviction(3, 3 * Size, 2 * Size), await EvictAsync(4 * Size));
        Assert.False(await _store.HasAsync(BlobDigest(3)));
        var cached = (await Evictor().ListCachedAsync(IsMirrored, Stop))!;
        Assert.Equal(small, Assert.Single(cached.Offered).Root);
        Assert.NotEqual(small, large);
    }

    [Fact]
    public async Task What_nothing_used_for_long_goes_without_need_and_pinned_repositories_stay()
    {
        await CopiedImageAsync("old", await BlobAsync(Mirrored, 1));
        await BlobAsync(AlsoMirrored, 2);
        await _store.AgeAsync(TimeSpan.FromDays(40));
        await CopiedImageAsync("young", await BlobAsync(Mirrored, 3));
        await _store.AgeAsync(TimeSpan.FromHours(1));
        var evictor = Evictor(new EvictorOptions { IsPinnedByPolicy = name => name == AlsoMirrored });
        var cached = (await evictor.ListCachedAsync(IsMirrored, Stop))!;
        var since = DateTimeOffset.UtcNow.AddDays(-30);

        Assert.Equal(new Eviction(0, 0, 3 * Size), await evictor.EvictUnusedAsync(cached, _ => null, Stop));
        Assert.Equal(new Eviction(1, Size, 2 * Size), await evictor.EvictUnusedAsync(cached, _ => since, Stop));
        Assert.Equal(new Eviction(1, Size, Size), await evictor.EvictAsync(cached, long.MaxValue, Stop));
        Assert.True(await _store.HasAsync(BlobDigest(2)));
    }

    [Fact]
    public async Task Nothing_goes_for_its_age_while_the_pulls_are_not_known()
    {
        await CopiedImageAsync("old", await BlobAsync(Mirrored, 1));
        await _store.AgeAsync(TimeSpan.FromDays(40));
        var evictor = Evictor(new EvictorOptions { Uses = new Uses { AreKnown = false } });
        var cached = (await evictor.ListCachedAsync(IsMirrored, Stop))!;
        Assert.Equal(new Eviction(0, 0, Size), await evictor.EvictUnusedAsync(cached, _ => DateTimeOffset.UtcNow, Stop));
        Assert.True(await _store.HasAsync(BlobDigest(1)));
    }

    private Task<Digest> CopiedImageAsync(string? tag, Digest config, params Digest[] layers) =>
        CopiedAsync(tag, SweptStore.Image(config, layers));

    private async Task<Digest> CopiedAsync(string? tag, string manifest) =>
        await _store.MarkAsync(Mirrored, await _store.ManifestAsync(Mirrored, tag, manifest), Provenance.Copied);

    private sealed class Uses : Dictionary<Digest, DateTimeOffset>, IImageUses
    {
        public bool AreKnown { get; set; } = true;

        public ValueTask<bool> ReadAsync(
            Action<RepositoryName, Digest, DateTimeOffset> pulled, bool isUrgent, CancellationToken cancellationToken)
        {
            foreach (var (digest, at) in this)
                pulled(Mirrored, digest, at);
            return ValueTask.FromResult(AreKnown);
        }
    }
}
