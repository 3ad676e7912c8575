
namespace Mirror.Telemetry;

/// <summary>Where an answer to a pull came from. The word is the metric's label, the log's field and the header's value.</summary>
public enum CacheStatus
{
    /// <summary>From the cache, upstream not asked.</summary>
    Hit,

    /// <summary>Not in the cache; this request started the download.</summary>
    Miss,

    /// <summary>Not in the cache; this request reads a download that was already running.</summary>
    Joined,

    /// <summary>From the cache, after upstream said that it is still what the name means.</summary>
    Revalidated,

    /// <summary>From the cache, because upstream could not or would not say.</summary>
    Stale,
}

public static class CacheStatusLabels
{
    extension(CacheStatus status)
    {
        /// <summary>The lower-case word. A constant: nothing is allocated.</summary>
        public string Label => status switch
        {
            CacheStatus.Hit => "hit",
            CacheStatus.Miss => "miss",
            CacheStatus.Joined => "joined",
            CacheStatus.Revalidated => "revalidated",
            CacheStatus.Stale => "stale",
            _ => throw new ArgumentOutOfRangeException(nameof(status)),
        };

        /// <summary>
        /// True where the bytes were in the cache when they were asked for. Joining a running download is not a hit: that
        /// client waits for upstream, and a hit rate that counts it would look best in the worst moment.
        /// </summary>
        public bool IsHit => status is CacheStatus.Hit or CacheStatus.Revalidated or CacheStatus.Stale;
    }
}
