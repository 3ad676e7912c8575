using Microsoft.Data.Sqlite;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;

namespace Mirror.Admin;

/// <summary>When clients pulled images, from <see cref="ImageIndex"/>. Where that cannot be read, the dates in the store decide.</summary>
public sealed partial class ImageUses(ImageIndex index, ImageIndexing indexing, ILogger<ImageUses> log) : IImageUses
{
    // Downloads wait for room meanwhile.
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(2);

    public async ValueTask ReadAsync(Action<RepositoryName, Digest, DateTimeOffset> pulled, CancellationToken cancellationToken)
    {
        try
        {
            await indexing.CatchUpAsync(MaxWait, cancellationToken);
            await Task.Run(() => index.ReadPulls(pulled), cancellationToken);
        }
        catch (Exception failure) when (failure is SqliteException or InvalidOperationException or InvalidCastException
            || failure.IsStoreFailure)
        {
            LogFailed(failure.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the index of the images cannot be read: {Reason}. Images are evicted in the order in which their layers were last read")]
    private partial void LogFailed(string reason);
}
