using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;

namespace Mirror.Admin;

/// <summary>When clients pulled images, from <see cref="ImageIndex"/>. Where that cannot be read, the dates in the store decide.</summary>
public sealed partial class ImageUses(ImageIndex index, ImageIndexing indexing, CacheUsage shared, ILogger<ImageUses> log)
    : IImageUses, IManifestNotes
{
    private static readonly TimeSpan MaxWait = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan MaxUrgentWait = TimeSpan.FromSeconds(2);

    public async ValueTask<bool> ReadAsync(
        Action<RepositoryName, Digest, DateTimeOffset> pulled, bool isUrgent, CancellationToken cancellationToken)
    {
        try
        {
            var isWhole = isUrgent
                ? await indexing.WriteUsesAsync(MaxUrgentWait, cancellationToken)
                : await indexing.CatchUpAsync(MaxWait, cancellationToken);
            foreach (var pulls in (await shared.PullsAsync()).Chunk(1000))
                index.Add(pulls);
            await Task.Run(() => index.ReadPulls(pulled), cancellationToken);
            return isWhole;
        }
        catch (Exception failure) when (ImageIndex.IsFailure(failure))
        {
            LogFailed(failure.Reason);
            return false;
        }
    }

    public IReadOnlyDictionary<Digest, NotedManifest> Find(IEnumerable<Digest> manifests)
    {
        try
        {
            return index.Notes(manifests);
        }
        catch (Exception failure) when (ImageIndex.IsFailure(failure))
        {
            return new Dictionary<Digest, NotedManifest>();
        }
    }

    public void Add(IReadOnlyDictionary<Digest, NotedManifest> manifests)
    {
        try
        {
            index.Note(manifests);
        }
        catch (Exception failure) when (ImageIndex.IsFailure(failure))
        {
            // They are read again next time.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the index of the images cannot be read: {Reason}. Images are evicted in the order in which their layers were last read")]
    private partial void LogFailed(string reason);
}
