using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>Objects of a bucket, and their copies on a local disk, that have the right length and the wrong bytes.</summary>
public sealed class DamagedObjectTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_manifest_that_is_put_again_replaces_a_damaged_one(bool hasCache)
    {
        var bytes = "a manifest"u8.ToArray();
        var digest = Digest.Of(bytes);
        using var bucket = new MemoryBucket(new() { MaxSize = 1 << 20 }, TimeProvider.System);
        var options = new MemoryOptions { ScratchDirectory = _folder.Folder("scratch") };
        if (hasCache)
            options.LocalCache.Path = _folder.Folder("cache");
        var store = new BucketContentStore(bucket, options, TimeProvider.System);
        await store.PutAsync(digest, bytes, Cancel);
        await bucket.PutBytesAsync(RegistryLayout.BlobData(digest), "A manifest"u8.ToArray(), onlyIfAbsent: false, Cancel);
        if (hasCache)
            await File.WriteAllTextAsync(Path.Combine(_folder["cache"], "content", "sha256", digest.Hex), "b manifest", Cancel);
        Assert.Equal(Verification.Damaged, await store.VerifyAsync(digest, Cancel));

        await store.PutAsync(digest, bytes, Cancel);
        Assert.Equal(Verification.Intact, await store.VerifyAsync(digest, Cancel));
        Assert.Equal("a manifest", await bucket.ReadTextAsync(RegistryLayout.BlobData(digest), Cancel));
    }
}
