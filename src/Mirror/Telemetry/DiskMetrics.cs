using System.Diagnostics.Metrics;
using Mirror.Configuration;
using Mirror.Storage.Stores;

namespace Mirror.Telemetry;

/// <summary>
/// The store in memory, or the volume with the store's folder or with the scratch folder of a bucket. It is asked only during a scrape.
/// </summary>
internal sealed class DiskMetrics
{
    public DiskMetrics(MirrorMeter mirror, StorageOptions storage, IStoreRoom? room = null)
    {
        var folder = storage.LocalDirectory;
        mirror.Meter.CreateObservableGauge(
            "mirror_store_free_bytes",
            () => room is null ? Measure(folder, disk => disk.AvailableFreeSpace) : [new(room.Max - room.Used)],
            "By",
            "Room that is left on the volume of the store.");
        mirror.Meter.CreateObservableGauge(
            "mirror_store_size_bytes",
            () => room is null ? Measure(folder, disk => disk.TotalSize) : [new(room.Max)],
            "By",
            "Size of the volume of the store.");
    }

    // A folder that is not there has no value.
    private static Measurement<long>[] Measure(string folder, Func<DriveInfo, long> size)
    {
        try
        {
            return [new(size(new DriveInfo(folder)))];
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
