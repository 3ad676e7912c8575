using Mirror.Storage;

namespace Mirror.PullThrough;

// How downloads wait for room.
public sealed partial class CacheSize
{
    // How long a download waits for room. Its clients do not wait: they have their bytes already. Without its blob, only a part of an image
    // would be stored. So the download waits long while all waiting blobs together are few bytes: a fifth of MaxBytes, or a tenth of
    // MinFree. They need room on the disk as well.
    private static readonly TimeSpan MaxWait = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan MaxWaitOfFew = TimeSpan.FromMinutes(10);
    // How often a waiting download looks for room without a signal: an eviction by another replica gives none here, and a store may be slow
    // to show its room.
    private static readonly TimeSpan LookAfter = TimeSpan.FromSeconds(10);
    private const int FewOfMax = 5;
    private const int FewOfMinFree = 10;

    // How much later clients get the last bytes of a blob, while more than half of these few bytes wait. Without this delay, clients could
    // download faster than evictions make room, for any time, and only parts of their images would be stored.
    private static readonly TimeSpan MaxPace = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Reserves room for a blob, and waits for an eviction if there is none. After true, the caller must call <see cref="Stored"/> or
    /// <see cref="Release"/>.
    /// </summary>
    /// <returns>False if the caller must not store the blob: it is larger than the limit, or no eviction made room in time.</returns>
    public async ValueTask<bool> ReserveAsync(Digest digest, long bytes, CancellationToken cancellationToken)
    {
        if (!IsLimited)
            return true;
        var began = time.GetTimestamp();
        var isWaiting = false;
        try
        {
            while (!(bytes > MaxBytes))
            {
                var changed = _roomChanged.Next;
                var areFew = AreFew(isWaiting ? 0 : bytes);
                var left = (areFew ? MaxWaitOfFew : MaxWait) - time.GetElapsedTime(began);
                var isLast = left <= TimeSpan.Zero || (Volatile.Read(ref _isStuck) && !areFew);
                if (await TryReserveAsync(digest, bytes, isLast))
                    return true;
                if (isLast)
                    break;
                lock (_gate)
                    _waiting += isWaiting ? 0 : bytes;
                isWaiting = true;
                _exceeded.Writer.TryWrite(true);
                await WaitAsync(changed, left < LookAfter ? left : LookAfter, cancellationToken);
            }
        }
        finally
        {
            if (isWaiting)
            {
                lock (_gate)
                    _waiting -= bytes;
                _paceChanged.Raise();
            }
        }
        metrics.NotKept();
        if (_notKept.IsDue())
            LogNotKept(digest.ToString());
        return false;
    }

    /// <summary>
    /// Waits a moment while many blobs wait for room. A download calls it before its clients get the last bytes, so that they go on at the
    /// pace at which evictions make room.
    /// </summary>
    public async ValueTask PaceAsync(CancellationToken cancellationToken)
    {
        if (!IsLimited)
            return;
        var began = time.GetTimestamp();
        while (_paceChanged.Next is var changed && !Volatile.Read(ref _isStuck) && !AreFew(Few / 2)
            && MaxPace - time.GetElapsedTime(began) is var left && left > TimeSpan.Zero)
            await WaitAsync(changed, left, cancellationToken);
    }

    /// <summary>Lets the downloads that wait for room look again.</summary>
    public void LookAgain() => _roomChanged.Raise();

    private long Few => MaxBytes / FewOfMax ?? (MinFree ?? 0) / FewOfMinFree;

    private bool AreFew(long more)
    {
        lock (_gate)
            return _waiting + more <= Few;
    }

    private async ValueTask WaitAsync(Task changed, TimeSpan most, CancellationToken cancellationToken)
    {
        await changed.WaitAsync(most, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Digest} was not stored: proxy.max_size or proxy.min_free left no room, and no eviction made room in time. Its clients got all "
        + "bytes, but the next client causes another download. Raise proxy.max_size, or storage.inmemory.maxsize of a store in memory, "
        + "or give the disk more room")]
    private partial void LogNotKept(string digest);
}
