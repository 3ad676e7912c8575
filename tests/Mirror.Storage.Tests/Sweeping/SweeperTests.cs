using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>What a sweep deletes and what it leaves, on every store.</summary>
public abstract partial class SweeperTests : IAsyncLifetime
{
    private static readonly RepositoryName App = RepositoryName.Parse("local/app");
    private static readonly RepositoryName Other = RepositoryName.Parse("local/other");

    private SweptStore _store = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _store = await CreateAsync();

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _store?.Dispose();
        return ValueTask.CompletedTask;
    }

    private protected abstract Task<SweptStore> CreateAsync();

    [Fact]
    public async Task Named_content_stays_and_other_content_is_deleted()
    {
        var (config, layer) = (await _store.BlobAsync(App, "config"), await _store.BlobAsync(App, "layer"));
        var (shared, loose) = (await _store.BlobAsync(App, "shared"), await _store.BlobAsync(App, "loose"));
        var image = await _store.ImageAsync(App, "1", config, layer, shared);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync();

        Assert.Equal((1, 0, "loose".Length), (result.Blobs, result.Manifests, result.Bytes));
        Assert.Equal(4, result.Marked);
        foreach (var kept in new[] { config, layer, shared, image })
            Assert.True(await _store.HasAsync(kept));
        Assert.False(await _store.HasAsync(loose));
        Assert.False(await _store.References.HasBlobAsync(App, loose, Stop));
        Assert.True(await _store.References.HasBlobAsync(App, layer, Stop));
        Assert.DoesNotContain(await _store.PathsAsync(), path =>
            path.EndsWith(".swept", StringComparison.Ordinal) || path.Contains(loose.Hex, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_any_repository_nothing_is_deleted_unless_that_is_asked_for()
    {
        var layer = Digest.Of("layer"u8);
        await _store.Content.PutAsync(layer, "layer"u8.ToArray(), Stop);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        foreach (var isDryRun in new[] { false, true })
            await Assert.ThrowsAsync<StoreUnavailableException>(() => _store.SweepAsync(new() { DryRun = isDryRun }));
        Assert.True(await _store.HasAsync(layer));

        Assert.Equal(1, (await _store.SweepAsync(new() { IsWithoutRepositories = true })).Blobs);
        Assert.False(await _store.HasAsync(layer));
    }

    [Fact]
    public async Task What_any_reader_could_see_in_a_manifest_stays()
    {
        var (a, b, c, loose) = (await _store.BlobAsync(App, "a"), await _store.BlobAsync(App, "b"), await _store.BlobAsync(App, "c"),
            await _store.BlobAsync(App, "loose"));
        var child = await _store.ImageAsync(App, null, c);
        await _store.ManifestAsync(App, "1", $$"""
            {"layers":[{"digest":"sha384:1234","size":1}],"Layers":[{"DIGEST":"{{a}}"}],"layers":[{"digest":"{{b}}","x":"\ud800"}],
             "Manifests":[{"digest":"{{child}}"}]}
            """);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        await _store.SweepAsync();

        foreach (var kept in new[] { a, b, c, child })
            Assert.True(await _store.HasAsync(kept));
        Assert.False(await _store.HasAsync(loose));
    }

    [Fact]
    public async Task Content_that_another_repository_names_stays()
    {
        var (config, layer) = (await _store.BlobAsync(App, "config"), await _store.BlobAsync(App, "layer"));
        await _store.References.LinkBlobAsync(Other, layer, Stop);
        var image = await _store.ImageAsync(App, "1", config);
        await _store.ImageAsync(Other, "1", layer);
        await _store.References.UnlinkManifestAsync(App, image, Stop);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        await _store.SweepAsync();

        Assert.True(await _store.HasAsync(layer));
        Assert.False(await _store.HasAsync(config));
        Assert.False(await _store.HasAsync(image));
    }

    [Fact]
    public async Task A_blob_without_a_manifest_stays_for_the_grace_after_each_touch()
    {
        var blob = await _store.BlobAsync(App, "layer");
        await _store.AgeAsync(TimeSpan.FromMinutes(50));
        Assert.Equal(0, (await _store.SweepAsync()).Blobs);

        await _store.AgeAsync(TimeSpan.FromMinutes(50));
        Assert.True(await _store.Content.TouchAsync(blob, Stop));
        Assert.Equal(0, (await _store.SweepAsync()).Blobs);
        Assert.True(await _store.HasAsync(blob));

        await _store.AgeAsync(TimeSpan.FromMinutes(61));
        Assert.Equal(1, (await _store.SweepAsync()).Blobs);
        Assert.False(await _store.Content.TouchAsync(blob, Stop));
    }

    [Fact]
    public async Task A_young_link_keeps_old_content()
    {
        var blob = await _store.BlobAsync(App, "layer");
        await _store.AgeAsync(TimeSpan.FromHours(2));
        await _store.References.LinkBlobAsync(Other, blob, Stop);

        await _store.SweepAsync();

        Assert.True(await _store.HasAsync(blob));
    }

    [Fact]
    public async Task A_committed_spool_is_as_young_as_its_commit()
    {
        var digest = Digest.Of("slow"u8);
        await using (var spool = await _store.Content.SpoolAsync(digest, Stop))
        {
            spool.Append("slow"u8);
            await _store.AgeAsync(TimeSpan.FromHours(5));
            await _store.Content.CommitAsync(spool, digest, Stop);
        }
        Assert.Equal(0, (await _store.SweepAsync()).Blobs);
    }

    [Fact]
    public async Task Committed_content_can_be_opened_while_its_spool_is_read()
    {
        var digest = Digest.Of("slow"u8);
        await using var spool = await _store.Content.SpoolAsync(digest, Stop);
        spool.Append("slow"u8);
        await _store.Content.CommitAsync(spool, digest, Stop);
        await using var stored = await _store.Content.OpenAsync(digest, Stop);
        Assert.Equal(4, stored?.Length);
    }

    [Fact]
    public async Task Committing_content_that_is_stored_touches_it()
    {
        var digest = await _store.BlobAsync(App, "twice");
        await _store.AgeAsync(TimeSpan.FromHours(5));
        await using (var spool = await _store.Content.SpoolAsync(digest, Stop))
        {
            spool.Append("twice"u8);
            await _store.Content.CommitAsync(spool, digest, Stop);
        }
        Assert.Equal(0, (await _store.SweepAsync()).Blobs);
        Assert.DoesNotContain(await _store.PathsAsync(), path => path.Contains("fills", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_dry_run_counts_and_changes_nothing()
    {
        await _store.BlobAsync(App, "loose");
        var config = await _store.BlobAsync(App, "config");
        await _store.ImageAsync(App, null, config);
        await _store.ImageAsync(App, "1", config);
        await _store.AgeAsync(TimeSpan.FromHours(2));
        await _store.SweepAsync(new SweepOptions { DryRun = true });
        var before = await _store.PathsAsync();

        var result = await _store.SweepAsync(new SweepOptions { DryRun = true, DeleteUntagged = true });

        Assert.Equal(before, await _store.PathsAsync());
        Assert.Equal(1, result.Blobs);
        Assert.Equal("loose".Length, result.Bytes);
    }

    [Fact]
    public async Task Untagged_manifests_are_deleted_only_on_request()
    {
        var (old, config) = (await _store.BlobAsync(App, "old"), await _store.BlobAsync(App, "config"));
        var replaced = await _store.ImageAsync(App, "1", old);
        var current = await _store.ImageAsync(App, "1", config);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        Assert.Equal(0, (await _store.SweepAsync()).Blobs);
        var result = await _store.SweepAsync(new SweepOptions { DeleteUntagged = true });

        Assert.Equal((1, 2), (result.Manifests, result.Blobs));
        Assert.False((await _store.References.FindManifestAsync(App, replaced, Stop)).Linked);
        Assert.False(await _store.HasAsync(old));
        Assert.True((await _store.References.FindManifestAsync(App, current, Stop)).Linked);
        Assert.True(await _store.HasAsync(config));
    }

    [Fact]
    public async Task Where_clients_cannot_push_only_untagged_copies_are_deleted()
    {
        var config = await _store.BlobAsync(App, "config");
        var copied = await _store.MarkAsync(App, await _store.ImageAsync(App, null, config), Provenance.Copied);
        var unmarked = await _store.ImageAsync(App, null, config, config);
        var pushed = await _store.MarkAsync(App, await _store.ManifestAsync(App, null, SweptStore.Index(unmarked)), Provenance.Pushed);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        await _store.SweepAsync(new SweepOptions { DeleteUntagged = true, IsHosted = _ => false });

        Assert.False((await _store.References.FindManifestAsync(App, copied, Stop)).Linked);
        Assert.Null(await _store.Provenance.FindAsync(App, copied, Stop));
        Assert.True((await _store.References.FindManifestAsync(App, unmarked, Stop)).Linked);
        Assert.True((await _store.References.FindManifestAsync(App, pushed, Stop)).Linked);
    }

    [Fact]
    public async Task A_manifest_pushed_by_digest_stays_for_the_grace()
    {
        var image = await _store.ImageAsync(App, null, await _store.BlobAsync(App, "config"));
        var result = await _store.SweepAsync(new SweepOptions { DeleteUntagged = true });
        Assert.Equal((0, 0), (result.Manifests, result.Blobs));
        Assert.True((await _store.References.FindManifestAsync(App, image, Stop)).Linked);
    }

    [Fact]
    public async Task Children_and_referrers_of_a_tagged_index_stay()
    {
        var blobs = new List<Digest>();
        foreach (var text in new[] { "a", "b", "signature", "of signature", "unlisted" })
            blobs.Add(await _store.BlobAsync(App, text));
        var (first, second) = (await _store.ImageAsync(App, null, blobs[0]), await _store.ImageAsync(App, null, blobs[1]));
        var inner = await _store.ManifestAsync(App, null, SweptStore.Index(second));
        await _store.ManifestAsync(App, "all", SweptStore.Index(first, inner));
        var signature = await _store.ManifestAsync(App, null, SweptStore.Image(blobs[2], [], first));
        await _store.ManifestAsync(App, null, SweptStore.Image(blobs[3], [], signature));
        var unlisted = await _store.ImageAsync(App, null, blobs[4]);
        await _store.ManifestAsync(App, null, SweptStore.Image(blobs[4], [], unlisted));
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync(new SweepOptions { DeleteUntagged = true });

        Assert.Equal(2, result.Manifests);
        foreach (var blob in blobs[..4])
            Assert.True(await _store.HasAsync(blob));
        Assert.False(await _store.HasAsync(blobs[4]));
    }

    [Fact]
    public async Task An_index_keeps_children_that_no_repository_links()
    {
        var config = await _store.BlobAsync(App, "config");
        var child = await _store.ImageAsync(App, null, config);
        await _store.ManifestAsync(App, "1", SweptStore.Index(child));
        await _store.References.UnlinkManifestAsync(App, child, Stop);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        await _store.SweepAsync();

        Assert.True(await _store.HasAsync(child));
        Assert.True(await _store.HasAsync(config));
    }

    [Fact]
    public async Task A_damaged_manifest_keeps_every_blob_of_its_repository()
    {
        var (config, loose) = (await _store.BlobAsync(App, "config"), await _store.BlobAsync(App, "loose"));
        var others = await _store.BlobAsync(Other, "others");
        var image = await _store.ImageAsync(App, "1", config);
        await _store.DamageAsync(RegistryLayout.BlobData(image));
        await _store.AgeAsync(TimeSpan.FromHours(2));

        await _store.SweepAsync();

        Assert.True(await _store.HasAsync(config));
        Assert.True(await _store.HasAsync(loose));
        Assert.False(await _store.HasAsync(others));
    }

    [Fact]
    public async Task A_linked_manifest_whose_content_is_lost_keeps_every_blob_of_its_repository_and_is_named()
    {
        var (config, others) = (await _store.BlobAsync(App, "config"), await _store.BlobAsync(Other, "others"));
        var image = await _store.ImageAsync(App, "1", config);
        // The lost manifest may be an index that lists this one.
        var child = await _store.ImageAsync(App, null, config, await _store.BlobAsync(App, "layer"));
        await _store.Content.DeleteAsync(image, Stop);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync(new() { DeleteUntagged = true });

        Assert.Contains(image.ToString(), Assert.Single(result.Problems), StringComparison.Ordinal);
        Assert.True(await _store.HasAsync(config));
        Assert.True(await _store.HasAsync(child));
        Assert.False(await _store.HasAsync(others));
    }

    [Fact]
    public async Task A_tag_that_a_push_has_not_set_keeps_nothing()
    {
        var config = await _store.BlobAsync(App, "config");
        await _store.ImageAsync(App, "1", config);
        var untagged = await _store.ImageAsync(App, "2", config, await _store.BlobAsync(App, "layer"));
        await _store.UnsetTagAsync(App, "2");
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync(new() { DeleteUntagged = true });

        Assert.Equal((1, 0), (result.Manifests, result.Problems.Count));
        Assert.False(await _store.HasAsync(untagged));
    }

    [Fact]
    public async Task A_damaged_tag_keeps_every_manifest_of_its_repository_and_is_named()
    {
        var config = await _store.BlobAsync(App, "config");
        await _store.ImageAsync(App, "1", config);
        var untagged = await _store.ImageAsync(App, null, config, await _store.BlobAsync(App, "layer"));
        await _store.DamageAsync(RegistryLayout.TagCurrent(App, "1"));
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync(new() { DeleteUntagged = true });

        Assert.Contains("the tag 1 is damaged", Assert.Single(result.Problems), StringComparison.Ordinal);
        Assert.True(await _store.HasAsync(untagged));
    }

    [Fact]
    public async Task A_copy_whose_manifest_is_gone_can_be_fetched_again_and_keeps_nothing()
    {
        var image = await _store.ImageAsync(App, "1", await _store.BlobAsync(App, "config"));
        await _store.MarkAsync(App, image, Provenance.Copied);
        await _store.Content.DeleteAsync(image, Stop);
        await _store.AgeAsync(TimeSpan.FromHours(2));
        var result = await _store.SweepAsync();
        Assert.Equal((1, 0), (result.Blobs, result.Problems.Count));
    }

    [Fact]
    public async Task A_damaged_copy_keeps_every_blob_of_its_repository_and_is_no_problem()
    {
        var config = await _store.BlobAsync(App, "config");
        var image = await _store.MarkAsync(App, await _store.ImageAsync(App, "1", config), Provenance.Copied);
        await _store.DamageAsync(RegistryLayout.BlobData(image));
        await _store.AgeAsync(TimeSpan.FromHours(2));
        Assert.Empty((await _store.SweepAsync()).Problems);
        Assert.True(await _store.HasAsync(config));
    }

    [Fact]
    public async Task Both_digest_algorithms_are_swept()
    {
        await _store.BlobAsync(App, "layer");
        var digest = Digest.Of("loose"u8, "sha512");
        await _store.Content.PutAsync(digest, "loose"u8.ToArray(), Stop);
        await _store.AgeAsync(TimeSpan.FromHours(2));
        await _store.SweepAsync();
        Assert.False(await _store.HasAsync(digest));
    }

    [Fact]
    public async Task There_is_one_sweep_at_a_time()
    {
        var sweeper = new Sweeper(_store.Content, _store.References, _store.Sweepable, _store.Provenance);
        await using (await _store.Sweepable.BeginAsync(Stop))
            Assert.Null(await sweeper.SweepAsync(new SweepOptions(), null, Stop));
        Assert.NotNull(await sweeper.SweepAsync(new SweepOptions(), null, Stop));
    }
}
