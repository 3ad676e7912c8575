namespace Mirror.Telemetry;

/// <summary>The source of the answer to a pull: a label of metrics, a field of the log, the value of <c>X-Cache</c>.</summary>
public enum CacheStatus
{
    /// <summary>From the cache, without asking upstream.</summary>
    Hit,

    /// <summary>Not in the cache; this request started the download.</summary>
    Miss,

    /// <summary>Not in the cache; this request reads a download that was already running.</summary>
    Joined,

    /// <summary>From the cache, after upstream confirmed what the tag names.</summary>
    Revalidated,

    /// <summary>From the cache, because upstream could not be asked or gave no answer.</summary>
    Stale,
}

public static class CacheStatusExtensions
{
    extension(CacheStatus status)
    {
        /// <summary>
        /// Whether the bytes were in the cache when the client asked for them. Joining a running download is not a hit: that client waits
        /// for upstream, and a hit rate that counted it would look best at the worst moment.
        /// </summary>
        public bool IsHit => status is CacheStatus.Hit or CacheStatus.Revalidated or CacheStatus.Stale;
    }
}
