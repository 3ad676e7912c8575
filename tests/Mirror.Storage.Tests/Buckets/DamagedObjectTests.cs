using System.Reflection;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Disk;
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

    [Fact]
    public async Task A_copy_that_the_disk_cannot_read_gives_way_to_the_bucket()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("Only Linux has a file whose reads fail.");
        var bytes = "a manifest"u8.ToArray();
        var digest = Digest.Of(bytes);
        using var bucket = new MemoryBucket(new() { MaxSize = 1 << 20 }, TimeProvider.System);
        var store = new BucketContentStore(bucket, new MemoryOptions { ScratchDirectory = _folder.Folder("scratch") }, TimeProvider.System);
        await store.PutAsync(digest, bytes, Cancel);
        // The memory of a process has no first byte: to read it is an EIO.
        var file = File.OpenHandle("/proc/self/mem");
        await using var copy = new LocalCopy(new FileContent(file, bytes.Length), stop => store.OpenStoredAsync(digest, stop));
        var read = new byte[100];
        Assert.Equal(bytes, read[..await copy.ReadAsync(0, read, Cancel)]);
        Assert.Equal(bytes[2..], read[..await copy.ReadAsync(2, read, Cancel)]);
        Assert.Equal(0, await copy.ReadAsync(bytes.Length, read, Cancel));
    }

    [Fact]
    public async Task Verification_reads_the_bucket_and_not_the_copy()
    {
        var bytes = "a manifest"u8.ToArray();
        var digest = Digest.Of(bytes);
        using var bucket = new MemoryBucket(new() { MaxSize = 1 << 20 }, TimeProvider.System);
        var options = new MemoryOptions { ScratchDirectory = _folder.Folder("scratch") };
        options.LocalCache.Path = _folder.Folder("cache");
        var store = new BucketContentStore(bucket, options, TimeProvider.System);
        await store.PutAsync(digest, bytes, Cancel);
        await bucket.PutBytesAsync(RegistryLayout.BlobData(digest), "b manifest"u8.ToArray(), onlyIfAbsent: false, Cancel);
        Assert.Equal(Verification.Damaged, await store.VerifyAsync(digest, Cancel));
        await store.PutAsync(digest, bytes, Cancel);
        await File.WriteAllTextAsync(Path.Combine(_folder["cache"], "content", "sha256", digest.Hex), "b manifest", Cancel);
        Assert.Equal(Verification.Intact, await store.VerifyAsync(digest, Cancel));
    }

    [Fact]
    public async Task Content_that_a_bucket_has_is_not_sent_again()
    {
        var bytes = "a layer of several parts"u8.ToArray();
        var digest = Digest.Of(bytes);
        BucketOptions options = new MemoryOptions { ScratchDirectory = _folder.Folder("scratch") };
        options.ChunkSize = 5;
        using var bucket = new MemoryBucket(new() { MaxSize = 1 << 20 }, TimeProvider.System);
        await new BucketContentStore(bucket, options, TimeProvider.System).PutAsync(digest, bytes, Cancel);
        var store = new BucketContentStore(NoUploads.Of(bucket), options, TimeProvider.System);
        await using var spool = await store.SpoolPrivatelyAsync(digest, Cancel);
        spool.Append(bytes);
        Assert.True(await spool.VerifyAsync(digest, Cancel));
        spool.Complete();
        await store.CommitAsync(spool, digest, Cancel);
        Assert.Equal(Verification.Intact, await store.VerifyAsync(digest, Cancel));
        // A sweep that began before the commit sees that it relies on the object.
        Assert.NotNull(await new BucketPushProtection(bucket, TimeProvider.System).LastClaimAsync(digest, Cancel));
    }

    /// <summary>A bucket that takes no parts.</summary>
#pragma warning disable CA1852 // The proxy is a subtype that is made while the test runs.
    private class NoUploads : DispatchProxy
#pragma warning restore CA1852
    {
        private IBucket _bucket = null!;

        public static IBucket Of(IBucket bucket)
        {
            var proxy = Create<IBucket, NoUploads>();
            ((NoUploads)(object)proxy)._bucket = bucket;
            return proxy;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            targetMethod!.Name == nameof(IBucket.BeginUploadAsync)
                ? throw new StoreUnavailableException("No uploads.")
                : targetMethod.Invoke(_bucket, args);
    }
}
