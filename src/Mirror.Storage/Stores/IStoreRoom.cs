namespace Mirror.Storage.Stores;

/// <summary>The room of a store that has a size of its own. What is written waits for an eviction where there is no room.</summary>
public interface IStoreRoom
{
    /// <summary>How many bytes the store can hold.</summary>
    long Max { get; }

    /// <summary>How many bytes it holds, with the names and the overhead of each object.</summary>
    long Used { get; }

    /// <summary>How many bytes wait for room.</summary>
    long Wanted { get; }

    /// <summary>Raised when a write waits for room. Without a subscriber no write waits, because nothing would be evicted.</summary>
    event Action? Wanting;

    /// <summary>Evictions have ended for now: what waits looks again.</summary>
    /// <param name="isStuck">Whether nothing could be evicted, so that there is no use in waiting.</param>
    void EvictionEnded(bool isStuck);
}
