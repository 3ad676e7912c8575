using System.Threading.Channels;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.PullThrough;

/// <summary>
/// How many bytes of mirrored blobs there are, and which blobs are in use; only if <c>proxy.max_size</c>, <c>proxy.min_free</c> or the
/// store's own size limits them, or a policy lets unused images go. A download asks for room before it stores a blob. Where there is none
/// it waits for an eviction, and without one the blob is not stored.
/// </summary>
/// <param name="room">The room of the store; null where it has no size of its own. What is not a mirrored blob leaves less of it.</param>
public sealed partial class CacheSize(
    ProxyOptions proxy, StorageOptions storage, CachePolicies policies, IContentStore content, StoreMetrics metrics, TimeProvider time,
    SharedCache shared, ILogger<CacheSize> log, IStoreRoom? room = null)
{
    // Of a store with a size of its own, an eighth stays free, for what is pushed and for what is passed while an eviction runs.
    private const int FreeShare = 8;

    // How long a download waits for room. Its clients have their bytes already.
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);

    private readonly Channel<bool> _exceeded =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly RareLine _notKept = new(time);
    private readonly Lock _gate = new();
    // Room was given for these, and they are being stored.
    private readonly Dictionary<Digest, long> _pending = [];
    // These were stored since the measurement began; null where none is running.
    private Dictionary<Digest, long>? _storedSince;
    // What all replicas had when it began; null where that is not known.
    private long? _sharedBefore;
    private TaskCompletionSource _passed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    // Until it is measured the cache counts as full, as an earlier process may have left it.
    private long _bytes = proxy.MaxSize ?? room?.Max ?? 0;
    private long _waiting;
    private long _storedSinceMeasured;
    private bool _isMeasured;
    private bool _isStuck;
    private bool _isAsked;

    /// <summary>The limit in bytes; null where there is none.</summary>
    public long? MaxBytes
    {
        get
        {
            if (room is null)
                return proxy.MaxSize;
            var others = Math.Max(0, room.Used - Bytes) + room.Wanted;
            return Math.Min(proxy.MaxSize ?? long.MaxValue, Math.Max(0, room.Max - room.Max / FreeShare - others));
        }
    }

    /// <summary>How many bytes of the volume stay free; null where that does not matter.</summary>
    public long? MinFree => proxy.MinFree;

    /// <summary>Whether images go to make room.</summary>
    public bool IsLimited => MaxBytes is not null || MinFree is not null;

    /// <summary>
    /// How many bytes have to go, so that a tenth of the limit is free, and what waits for room gets it; 0 while the limits are kept. Also
    /// where the volume has too little free: then so many that it has a tenth more than the least.
    /// </summary>
    public long Excess
    {
        get
        {
            var missing = MinFree is { } least && Free() is var free && free < least ? least + least / 10 - free : 0;
            lock (_gate)
                return Math.Max(missing, MaxBytes is { } max && _bytes + _waiting > max ? _bytes + _waiting - (max - max / 10) : 0);
        }
    }

    /// <summary>The bytes of all mirrored blobs, with those for which there is room and that are being stored.</summary>
    public long Bytes { get { lock (_gate) return _bytes; } }

    /// <summary>
    /// Whether the size is known, and less than half of it came since the measurement: an image that is larger than all the rest is known.
    /// </summary>
    public bool IsMeasured { get { lock (_gate) return _isMeasured && !(_storedSinceMeasured > MaxBytes / 2); } }

    /// <summary>
    /// Asks for room for a blob, and waits for an eviction where there is none. Follow it by <see cref="Stored"/> or <see cref="Release"/>.
    /// </summary>
    /// <returns>False where the blob must not be stored: it is larger than the limit, or nothing can be evicted for it.</returns>
    public async ValueTask<bool> ReserveAsync(Digest digest, long bytes, CancellationToken cancellationToken)
    {
        if (!IsLimited)
            return true;
        var began = time.GetTimestamp();
        while (!(bytes > MaxBytes))
        {
            var left = MaxWait - time.GetElapsedTime(began);
            var isLast = Volatile.Read(ref _isStuck) || left <= TimeSpan.Zero;
            if (await TryReserveAsync(digest, bytes, isLast))
                return true;
            if (isLast)
                break;
            Task passed;
            lock (_gate)
            {
                _waiting += bytes;
                passed = _passed.Task;
            }
            _exceeded.Writer.TryWrite(true);
            // Where time is up first, another sweep is running, or the store is slow.
            await passed.WaitAsync(left, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            lock (_gate)
                _waiting -= bytes;
            cancellationToken.ThrowIfCancellationRequested();
        }
        metrics.NotKept();
        if (_notKept.IsDue())
            LogNotKept(digest.ToString());
        return false;
    }

    /// <summary>A blob for which there was room was stored.</summary>
    public void Stored(Digest digest)
    {
        lock (_gate)
            if (_pending.Remove(digest, out var bytes))
            {
                _storedSinceMeasured += bytes;
                _storedSince?[digest] = bytes;
            }
    }

    /// <summary>A blob for which there was room could not be stored.</summary>
    public void Release(Digest digest)
    {
        lock (_gate)
            if (_pending.Remove(digest, out var bytes))
            {
                _bytes -= bytes;
                _ = shared.AddAsync(-bytes);
            }
    }

    /// <summary>Call it before measuring: a blob that is used from here on is touched, so that no eviction takes it for unused.</summary>
    public async ValueTask BeginMeasuringAsync()
    {
        _sharedBefore = await shared.AddAsync(0);
        lock (_gate)
            _storedSince = [];
        _used.Clear();
    }

    /// <summary>Takes in what was measured.</summary>
    public async ValueTask MeasuredAsync(CachedImages cached)
    {
        long bytes;
        lock (_gate)
        {
            var unseen = _pending.Concat(_storedSince ?? []).Where(blob => !cached.Counts(blob.Key)).Sum(blob => blob.Value);
            (_bytes, _storedSince, _isMeasured, _storedSinceMeasured) = (cached.Bytes + unseen, null, true, 0);
            bytes = _bytes;
        }
        // What the replicas stored meanwhile may count twice until the next measurement, and never too little.
        if (await shared.MeasuredAsync(bytes, _sharedBefore) is { } all)
            lock (_gate)
                _bytes = all;
        Report();
    }

    /// <summary>Takes in what the other replicas stored and evicted.</summary>
    public async ValueTask RefreshAsync()
    {
        if (await shared.AddAsync(0) is { } all)
            lock (_gate)
                _bytes = _isMeasured ? all : _bytes;
    }

    /// <summary>Blobs were evicted.</summary>
    public void Evicted(long bytes)
    {
        lock (_gate)
            _bytes -= bytes;
        if (bytes > 0)
            _ = shared.AddAsync(-bytes);
        Report();
    }

    /// <summary>Evictions have ended for now: what waits for room looks again.</summary>
    /// <param name="isStuck">Whether nothing could be evicted, so that there is no use in waiting for the next time.</param>
    public void Passed(bool isStuck)
    {
        TaskCompletionSource passed;
        lock (_gate)
        {
            _isStuck = isStuck;
            (passed, _passed) = (_passed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        passed.SetResult();
        room?.Passed(isStuck);
    }

    /// <summary>Completes when the limit is passed, or after <paramref name="maxWait"/>.</summary>
    public async Task UntilExceededAsync(TimeSpan maxWait, CancellationToken cancellationToken)
    {
        if (room is not null && !_isAsked)
        {
            _isAsked = true;
            room.Wanting += () => _exceeded.Writer.TryWrite(true);
        }
        using var end = new CancellationTokenSource(maxWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, end.Token);
        try
        {
            await _exceeded.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The wait is over.
        }
    }

    /// <summary>Asks for a new measurement: more of the store may be evicted than was known.</summary>
    public void Remeasure()
    {
        lock (_gate)
            _isMeasured = false;
        _exceeded.Writer.TryWrite(true);
    }

    private async ValueTask<bool> TryReserveAsync(Digest digest, long bytes, bool isLast)
    {
        if (!HasRoom(bytes, isLast))
            await RefreshAsync();
        lock (_gate)
        {
            if (!HasRoom(bytes, isLast))
                return false;
            _bytes += bytes;
            _pending[digest] = bytes;
            Report();
        }
        if (await shared.AddAsync(bytes) is not { } all)
            return true;
        lock (_gate)
        {
            _bytes = all;
            if (HasRoom(0, isLast))
                return true;
            // Another replica has taken the room.
            _pending.Remove(digest);
            _bytes -= bytes;
        }
        await shared.AddAsync(-bytes);
        return false;
    }

    // What waits for room is on the disk already, so the room that it needs is not free.
    private bool HasRoom(long bytes, bool isLast) =>
        !(_bytes + bytes > (isLast ? MaxBytes + MaxBytes / 10 : MaxBytes))
        && (MinFree is not { } least || Free() >= (isLast ? least - least / 10 : least));

    private long Free() => new DriveInfo(Path.GetFullPath(storage.Filesystem.RootDirectory)).AvailableFreeSpace;

    private void Report()
    {
        lock (_gate)
            if (_isMeasured)
                metrics.CacheSize(_bytes, MaxBytes);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Digest} was sent to its clients and not kept: proxy.max_size or proxy.min_free leaves no room, and there was nothing to evict "
        + "for it. Clients that ask again cost another download: raise proxy.max_size, or storage.inmemory.maxsize of a store in memory, "
        + "or give the disk more room")]
    private partial void LogNotKept(string digest);
}
