using Mirror.Storage.Buckets;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Files;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.S3;

/// <summary>The contract, and the copies that answer while the bucket is away. A store of files stands in for the bucket.</summary>
public sealed class FallbackReferenceStoreTests : ReferenceStoreTests
{
    private static readonly RepositoryName App = Name("local/app");

    private readonly TempFolder _folder = new();
    private readonly TempFolder _local = new();
    private Fickle _bucket = null!;

    // Lists come from the bucket, and each tag is flushed to disk twice.
    protected override int ManyTags => 20;

    protected override Task<Stores> CreateAsync()
    {
        var files = FileStore.In(_folder);
        _bucket = new Fickle(files.References);
        return Task.FromResult(files with { References = new FallbackReferenceStore(_bucket, new FileReferenceStore(_local.Path)) });
    }

    public override ValueTask DisposeAsync()
    {
        _folder.Dispose();
        _local.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task What_was_read_or_written_is_known_while_the_bucket_is_away()
    {
        await _bucket.LinkBlobAsync(App, Any(1), Cancel);
        await _bucket.LinkManifestAsync(App, Any(2), "a/b", Cancel);
        await _bucket.SetTagAsync(App, "t", Any(2), Cancel);
        Assert.True(await References.HasBlobAsync(App, Any(1), Cancel));
        Assert.Equal((true, "a/b"), await References.FindManifestAsync(App, Any(2), Cancel));
        Assert.Equal(Any(2), await References.ResolveTagAsync(App, "t", Cancel));
        await References.LinkBlobAsync(App, Any(3), Cancel);
        await References.LinkManifestAsync(App, Any(4), null, Cancel);
        await References.SetTagAsync(App, "u", Any(4), Cancel);

        _bucket.IsAway = true;
        Assert.True(await References.HasBlobAsync(App, Any(1), Cancel));
        Assert.Equal((true, "a/b"), await References.FindManifestAsync(App, Any(2), Cancel));
        Assert.Equal(Any(2), await References.ResolveTagAsync(App, "t", Cancel));
        Assert.True(await References.HasBlobAsync(App, Any(3), Cancel));
        Assert.Equal((true, null), await References.FindManifestAsync(App, Any(4), Cancel));
        Assert.Equal(Any(4), await References.ResolveTagAsync(App, "u", Cancel));
    }

    [Fact]
    public async Task What_was_never_read_is_unknown_and_not_missing()
    {
        await References.LinkBlobAsync(App, Any(1), Cancel);
        _bucket.IsAway = true;
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.HasBlobAsync(App, Any(2), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.HasBlobAsync(Name("local/other"), Any(1), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.FindManifestAsync(App, Any(1), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.ResolveTagAsync(App, "t", Cancel));
        // Without a claim, a push may not rely on the blob.
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.TouchBlobAsync(App, Any(1), Cancel));
    }

    [Fact]
    public async Task What_another_process_changed_or_deleted_leaves_no_old_copy()
    {
        await References.LinkBlobAsync(App, Any(1), Cancel);
        await References.LinkManifestAsync(App, Any(2), "a/b", Cancel);
        await References.SetTagAsync(App, "t", Any(2), Cancel);
        await References.SetTagAsync(App, "gone", Any(2), Cancel);
        // As another process would.
        await _bucket.UnlinkBlobAsync(App, Any(1), Cancel);
        await _bucket.LinkManifestAsync(App, Any(2), null, Cancel);
        await _bucket.SetTagAsync(App, "t", Any(3), Cancel);
        await _bucket.DeleteTagAsync(App, "gone", Cancel);
        Assert.False(await References.HasBlobAsync(App, Any(1), Cancel));
        Assert.Equal((true, null), await References.FindManifestAsync(App, Any(2), Cancel));
        Assert.Equal(Any(3), await References.ResolveTagAsync(App, "t", Cancel));
        Assert.Null(await References.ResolveTagAsync(App, "gone", Cancel));

        _bucket.IsAway = true;
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.HasBlobAsync(App, Any(1), Cancel));
        Assert.Equal((true, null), await References.FindManifestAsync(App, Any(2), Cancel));
        Assert.Equal(Any(3), await References.ResolveTagAsync(App, "t", Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.ResolveTagAsync(App, "gone", Cancel));
    }

    [Fact]
    public async Task A_delete_that_the_bucket_missed_is_not_served_any_more()
    {
        await References.LinkBlobAsync(App, Any(1), Cancel);
        await References.LinkManifestAsync(App, Any(2), "a/b", Cancel);
        await References.SetTagAsync(App, "t", Any(2), Cancel);
        _bucket.IsAway = true;
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.UnlinkBlobAsync(App, Any(1), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.UnlinkManifestAsync(App, Any(2), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.DeleteTagAsync(App, "t", Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.HasBlobAsync(App, Any(1), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.FindManifestAsync(App, Any(2), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.ResolveTagAsync(App, "t", Cancel));
    }

    // A store that is away when the test says so.
    private sealed class Fickle(IReferenceStore store) : IReferenceStore
    {
        public bool IsAway { get; set; }

        private IReferenceStore Store => IsAway ? throw new StoreUnavailableException("The bucket is away.") : store;

        public ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) =>
            Store.ExistsAsync(name, cancellationToken);

        public ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
            Store.LinkBlobAsync(name, digest, cancellationToken);

        public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
            Store.HasBlobAsync(name, digest, cancellationToken);

        public ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
            Store.TouchBlobAsync(name, digest, cancellationToken);

        public ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
            Store.UnlinkBlobAsync(name, digest, cancellationToken);

        public ValueTask LinkManifestAsync(
            RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken) =>
            Store.LinkManifestAsync(name, digest, mediaType, cancellationToken);

        public ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(
            RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
            Store.FindManifestAsync(name, digest, cancellationToken);

        public ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
            Store.TouchManifestAsync(name, digest, cancellationToken);

        public ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
            Store.UnlinkManifestAsync(name, digest, cancellationToken);

        public ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
            Store.ResolveTagAsync(name, tag, cancellationToken);

        public ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken) =>
            Store.SetTagAsync(name, tag, digest, cancellationToken);

        public ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
            Store.DeleteTagAsync(name, tag, cancellationToken);

        public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken) =>
            Store.ListTagsAsync(name, cancellationToken);

        public IAsyncEnumerable<RepositoryName> ListRepositoriesAsync(CancellationToken cancellationToken) =>
            Store.ListRepositoriesAsync(cancellationToken);
    }
}
