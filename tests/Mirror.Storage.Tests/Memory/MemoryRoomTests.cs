using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Xunit;

namespace Mirror.Storage.Tests.Memory;

/// <summary>A store in memory never holds more than it may.</summary>
public sealed class MemoryRoomTests
{
    private const int MiB = 1 << 20;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_does_not_fit_is_refused_and_what_is_deleted_makes_room()
    {
        using var bucket = new MemoryBucket(new() { MaxSize = 3 * MiB }, TimeProvider.System);
        await PutAsync(bucket, "a", 2 * MiB);
        var full = await Assert.ThrowsAsync<IOException>(() => PutAsync(bucket, "b", 2 * MiB));
        Assert.True(full.IsNoSpace);
        Assert.Null(await bucket.SizeAsync("b", Cancel));

        await bucket.DeleteAsync("a", Cancel);
        await PutAsync(bucket, "b", 2 * MiB);
        await bucket.DeleteAsync("b", Cancel);
        Assert.Equal(0, bucket.Room.Used);
    }

    [Fact]
    public async Task What_is_replaced_left_or_given_up_takes_no_room()
    {
        using var bucket = new MemoryBucket(new() { MaxSize = 3 * MiB }, TimeProvider.System);
        await PutAsync(bucket, "a", 10);
        var used = bucket.Room.Used;
        await PutAsync(bucket, "a", 10);
        Assert.False(await bucket.PutBytesAsync("a", new byte[MiB], onlyIfAbsent: true, Cancel));
        foreach (var completes in new[] { true, false })
        {
            var upload = await bucket.BeginUploadAsync("a", Cancel);
            await upload.PutPartAsync(2, () => new MemoryStream([2]), 1, Cancel);
            await upload.PutPartAsync(1, () => new MemoryStream(new byte[MiB]), MiB, Cancel);
            if (completes)
                Assert.False(await upload.CompleteAsync(onlyIfAbsent: true, Cancel));
            await upload.AbortAsync(Cancel);
        }
        Assert.Equal(used, bucket.Room.Used);
    }

    [Fact]
    public async Task What_finds_no_room_waits_for_an_eviction()
    {
        using var bucket = new MemoryBucket(new() { MaxSize = 3 * MiB }, TimeProvider.System);
        await PutAsync(bucket, "old", 2 * MiB);
        bucket.Room.Wanting += async () => await bucket.DeleteAsync("old", Cancel);
        await PutAsync(bucket, "new", 2 * MiB);
        Assert.Null(await bucket.SizeAsync("old", Cancel));
    }

    [Fact]
    public async Task A_full_store_has_room_for_what_a_sweep_writes_and_not_for_more()
    {
        using var bucket = new MemoryBucket(new() { MaxSize = 1 * MiB }, TimeProvider.System);
        await PutAsync(bucket, "a", MiB - 512);
        await Assert.ThrowsAsync<IOException>(() => PutAsync(bucket, "mirror/claims/b", 1024));
        await PutAsync(bucket, "mirror/sweeps/1", 0);
        await PutAsync(bucket, "mirror/condemned/sha256/aa/1", 0);
        var full = await Assert.ThrowsAsync<IOException>(() => PutAsync(bucket, "mirror/condemned/sha256/aa/2", MiB / 8));
        Assert.True(full.IsNoSpace);
    }

    [Fact]
    public async Task A_full_store_has_room_for_the_begin_of_an_eviction_and_of_a_collection()
    {
        using var bucket = new MemoryBucket(new() { MaxSize = 1 * MiB }, TimeProvider.System);
        var left = bucket.Room.Max;
        await PutAsync(bucket, "a", MiB - 1024);
        for (left -= bucket.Room.Used; left > 300; left = bucket.Room.Max - bucket.Room.Used)
            await PutAsync(bucket, $"b{left}", 0);
        var sweeps = new BucketSweepStore(bucket, "", TimeProvider.System);
        foreach (var kind in new[] { sweeps, sweeps.ForEvictions })
            await using (var turn = await kind.BeginAsync(Cancel))
                Assert.NotNull(turn);
    }

    private static async Task PutAsync(MemoryBucket bucket, string path, int length) =>
        Assert.True(await bucket.PutBytesAsync(path, new byte[length], onlyIfAbsent: false, Cancel));
}
