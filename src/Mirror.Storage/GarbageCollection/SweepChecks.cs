using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>Checks before anything is deleted.</summary>
internal static class SweepChecks
{
    /// <summary>Refuses to go on if any folder could not be read: it may name what would be deleted.</summary>
    /// <exception cref="StoreUnavailableException">A folder could not be read.</exception>
    public static async Task RequireReadableAsync(this ISweepStore store, CancellationToken stop)
    {
        if (await store.UnreadableAsync(stop) is { } folder)
            throw new StoreUnavailableException(
                $"this user may not read {folder}, so it is not known what it names: nothing was deleted");
    }
}
