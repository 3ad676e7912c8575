using Mirror.Configuration;
using Mirror.Storage.Disk;

namespace Mirror.Admin;

/// <summary>What the store holds, and when it will be full.</summary>
internal sealed class StoreUsage(
    ImageIndex index, ImageIndexing indexing, StorageOptions storage, ProxyOptions proxy, TimeProvider time)
{
    /// <summary>Reads it from the index.</summary>
    /// <param name="maxWait">How long it may wait for the last changes.</param>
    public async Task<UsageAnswer> ReadAsync(TimeSpan maxWait, CancellationToken cancellationToken)
    {
        await indexing.CatchUpForAnswerAsync(maxWait, cancellationToken);
        var totals = await Task.Run(index.Totals, cancellationToken);
        VolumeRoom? volume = storage.Bucket() is null ? VolumeRoom.Of(storage.Filesystem.RootDirectory) : null;
        var free = volume?.Bytes;
        // A floor that the volume is too small for has no effect.
        var floor = proxy.MinFree is { } least && volume is { } room && room.CanHaveFree(least) ? least : 0;
        var growth = index.Growth(time.GetUtcNow(), totals.Bytes);
        var left = Math.Min(proxy.MaxSize - totals.Bytes ?? long.MaxValue, free - floor ?? long.MaxValue);
        return new(
            totals.Repositories, totals.Images, totals.Parts, totals.Bytes, totals.SharedBytes, proxy.MaxSize, free, storage.Location,
            index.Built, growth, FullAt(time.GetUtcNow(), left, growth));
    }

    private static DateTimeOffset? FullAt(DateTimeOffset now, long room, long? growth)
    {
        // A date further ahead says nothing.
        const double maxDays = 3650;
        return growth > 0 && Math.Max(0, room) / (double)growth is < maxDays and var days ? now.AddDays(days) : null;
    }
}
