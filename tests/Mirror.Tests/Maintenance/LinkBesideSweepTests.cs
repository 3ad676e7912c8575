using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>A push of a blob in a bucket, at the moment at which a sweep deletes an old link of this blob.</summary>
public sealed class LinkBesideSweepTests : IDisposable
{
    private static readonly RepositoryName Name = RepositoryName.Parse("a/b");
    private static readonly byte[] Bytes = "layer"u8.ToArray();
    private static readonly Digest Layer = Digest.Of(Bytes);

    private readonly TempFolder _folder = new();
    private readonly FakeTimeProvider _dates = new(DateTimeOffset.UtcNow);
    private readonly ExpectedSizes _sizes = new();
    private readonly RepositoryLocks _locks = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _folder.Dispose();
        _sizes.Dispose();
        _locks.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_repository_has_a_blob_that_was_acknowledged(bool isMounted)
    {
        var options = new MemoryOptions { MaxSize = 1 << 20, ScratchDirectory = _folder.Folder("scratch") };
        using var bucket = new HeldBucket(new MemoryBucket(options, _dates), RegistryLayout.LayerLink(Name, Layer));
        var store = new BucketContentStore(bucket, options, TimeProvider.System);
        using var content = new CheckedContentStore(store, _sizes, NullLogger<CheckedContentStore>.Instance);
        var references = new BucketReferenceStore(bucket, TimeProvider.System);
        var provenance = new BucketProvenanceStore(bucket);
        var repository = new HostedRepository(
            Name, new(content, references, null!, null!, null!, null!, _locks, null!, provenance, null!, null!));
        await references.LinkBlobAsync(Name, Layer, Cancel);
        _dates.Advance(TimeSpan.FromHours(2));
        if (isMounted)
            await store.PutAsync(Layer, Bytes, Cancel);
        foreach (var claim in await bucket.ListAsync(RegistryLayout.Claims(Layer), null, Cancel).ToListAsync(Cancel))
            await bucket.DeleteAsync(claim.Path, Cancel);

        // The sweep has looked at the old link, and is about to delete it, when the push writes the new one.
        var sweep = Task.Run(
            async () => await new BucketSweepStore(bucket, _folder.Folder("sweep"), TimeProvider.System)
                .SweepBlobAsync(Name, Layer, _dates.GetUtcNow() - TimeSpan.FromHours(1), Cancel),
            Cancel);
        await bucket.IsAboutToDelete.WaitAsync(Cancel);
        await PushAsync(repository, content, isMounted);
        await sweep;
        Assert.True(await references.HasBlobAsync(Name, Layer, Cancel));
        Assert.Equal(Provenance.Pushed, await provenance.FindAsync(Name, Layer, Cancel));
        Assert.NotNull(await content.SizeAsync(Layer, Cancel));
    }

    private static async Task PushAsync(HostedRepository repository, CheckedContentStore content, bool isMounted)
    {
        if (isMounted)
        {
            Assert.True(await repository.LinkBlobAsync(Layer, Cancel));
            return;
        }
        await using var spool = await content.SpoolPrivatelyAsync(Layer, Cancel);
        spool.Append(Bytes);
        await repository.CommitBlobAsync(spool, Layer, Cancel);
    }

    // The first deletion of one object waits until the object is written again.
    private sealed class HeldBucket(IBucket bucket, string held) : IBucket
    {
        private readonly TaskCompletionSource _isAboutToDelete = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _isWritten = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task IsAboutToDelete => _isAboutToDelete.Task;

        public string Name => bucket.Name;

        public ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => bucket.SizeAsync(path, cancellationToken);

        public ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken) =>
            bucket.ReadTextAsync(path, cancellationToken);

        public ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken) =>
            bucket.OpenAsync(path, from, until, cancellationToken);

        public async ValueTask<bool> PutAsync(
            string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
        {
            var written = await bucket.PutAsync(path, open, length, onlyIfAbsent, cancellationToken);
            if (path == held && IsAboutToDelete.IsCompleted)
                _isWritten.TrySetResult();
            return written;
        }

        public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
        {
            if (path == held)
            {
                _isAboutToDelete.TrySetResult();
                await _isWritten.Task.WaitAsync(cancellationToken);
            }
            await bucket.DeleteAsync(path, cancellationToken);
        }

        public ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) =>
            bucket.BeginUploadAsync(path, cancellationToken);

        public IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
            string folder, CancellationToken cancellationToken) => bucket.ListUploadsAsync(folder, cancellationToken);

        public IAsyncEnumerable<BucketObject> ListAsync(string prefix, int? max, CancellationToken cancellationToken) =>
            bucket.ListAsync(prefix, max, cancellationToken);

        public ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken) =>
            bucket.ListFoldersAsync(folder, prefix, cancellationToken);

        public ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken) =>
            bucket.LocateAsync(path, validity, cancellationToken);

        public void Dispose() => bucket.Dispose();
    }
}
