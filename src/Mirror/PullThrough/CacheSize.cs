using System.Threading.Channels;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Disk;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.PullThrough;

/// <summary>
/// Counts the bytes of mirrored blobs, and records which blobs are in use. Sizes matter only if <c>proxy.max_size</c>,
/// <c>proxy.min_free</c> or the store's own size limits them. Uses also matter if a policy removes unused images.
/// </summary>
/// <remarks>
/// A download reserves room before it stores a blob. If there is no room, it waits for an eviction. If the eviction frees too little, the
/// blob may still exceed the limit by a tenth. Otherwise it is not stored.
/// </remarks>
/// <param name="room">
/// The room of the store, which mirrored blobs share with other content; null if the store has no size of its own.
/// </param>
public sealed partial class CacheSize(
    ProxyOptions proxy, StorageOptions storage, CachePolicies policies, IContentStore content, StoreMetrics metrics, TimeProvider time,
    CacheUsage shared, ILogger<CacheSize> log, IStoreRoom? room = null)
{
    // In a store with a size of its own, an eighth stays free: for pushes, and for blobs that exceed the limit while an eviction runs.
    private const int FreeShare = 8;

    private readonly Channel<bool> _exceeded =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly RareLine _notKept = new(time);
    private readonly Lock _gate = new();
    // The blobs that have reserved room and are being stored, with their sizes.
    private readonly Dictionary<Digest, long> _pending = [];
    // The blobs that were stored since the running measurement began; null while no measurement runs.
    private Dictionary<Digest, long>? _storedSince;
    // How many bytes all replicas together had when the measurement began; null where that is not known.
    private long? _sharedBefore;
    private IReadOnlyList<(Digest Digest, long Bytes)> _reservedBefore = [];
    private readonly ChangeSignal _roomChanged = new();
    private readonly ChangeSignal _paceChanged = new();
    // Until the first measurement the cache counts as full, because an earlier process may have filled it.
    private long _bytes = proxy.MaxSize ?? room?.Max ?? 0;
    private long _waiting;
    private long _storedSinceMeasured;
    private bool _isMeasured;
    private bool _isStuck;
    private bool _isListening;

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

    /// <summary>How many bytes of the volume must stay free (<c>proxy.min_free</c>); null where the settings name no number.</summary>
    public long? MinFree => proxy.MinFree;

    /// <summary>Whether there is a limit, so that evictions remove images to make room.</summary>
    public bool IsLimited => MaxBytes is not null || MinFree is not null;

    /// <summary>
    /// How many bytes an eviction has to remove; 0 while no limit is exceeded. If the blobs exceed <see cref="MaxBytes"/>: enough bytes
    /// that the waiting blobs fit and a tenth of the limit stays free. If the volume has less room than <see cref="MinFree"/>: enough bytes
    /// that it has it, and a tenth more. If both, the larger number.
    /// </summary>
    public long Excess
    {
        get
        {
            var missing = MissingOnVolume;
            lock (_gate)
                return Math.Max(missing, MaxBytes is { } max && _bytes + _waiting > max ? _bytes + _waiting - (max - max / 10) : 0);
        }
    }

    /// <summary>
    /// How many bytes an eviction has to remove because of <see cref="MinFree"/>; 0 while the volume has enough room, and where it is too
    /// small for <see cref="MinFree"/>: an eviction would remove everything, and in vain.
    /// </summary>
    public long MissingOnVolume
    {
        get
        {
            if (MinFree is not { } least)
                return 0;
            var volume = Volume();
            // How many files an image has is not known, so the cache gets smaller step by step.
            var forFiles = volume.IsShortOfFiles ? Bytes / 10 : 0;
            // A tenth more, or a tenth of what the volume can have beyond the floor.
            return volume.CanHaveFree(least) && volume.Bytes < least
                ? Math.Max(least + Math.Min(least, volume.Size - least) / 10 - volume.Bytes, forFiles)
                : forFiles;
        }
    }

    /// <summary>The bytes of all mirrored blobs, including those that have reserved room and are being stored.</summary>
    public long Bytes { get { lock (_gate) return _bytes; } }

    /// <summary>
    /// Whether a measurement is recent enough. False when more than half of the limit was stored since the last one: a new image may then
    /// be larger than all others together, and such an image has to be evicted first.
    /// </summary>
    public bool IsMeasured { get { lock (_gate) return _isMeasured && !(_storedSinceMeasured > MaxBytes / 2); } }

    /// <summary>Notes that a blob with reserved room was stored.</summary>
    public void Stored(Digest digest)
    {
        lock (_gate)
            if (_pending.Remove(digest, out var bytes))
            {
                _storedSinceMeasured += bytes;
                _storedSince?[digest] = bytes;
                _ = shared.UnreserveAsync(digest, bytes).AsTask();
            }
    }

    /// <summary>Gives back the room of a blob that could not be stored.</summary>
    public void Release(Digest digest)
    {
        lock (_gate)
            if (_pending.Remove(digest, out var bytes))
            {
                _bytes -= bytes;
                _ = ReleaseSharedAsync(digest, bytes);
            }
        LookAgain();
    }

    /// <summary>
    /// Call this before a measurement. It forgets which blobs were touched lately, so that each blob is touched again at its next use.
    /// Otherwise an eviction with this measurement could remove a blob that is in use.
    /// </summary>
    public async ValueTask BeginMeasuringAsync()
    {
        _sharedBefore = await shared.BytesAsync();
        _reservedBefore = await shared.ReservedAsync();
        lock (_gate)
            _storedSince = [];
        _used.Clear();
    }

    /// <summary>Takes over the result of a measurement.</summary>
    public async ValueTask MeasuredAsync(CachedImages cached)
    {
        long bytes;
        lock (_gate)
        {
            var unseen = _pending.Concat(_storedSince ?? []).Where(blob => !cached.Counts(blob.Key)).Sum(blob => blob.Value);
            (_bytes, _storedSince, _isMeasured, _storedSinceMeasured) = (cached.Bytes + unseen, null, true, 0);
            bytes = _bytes;
        }
        // The sum had the blobs that replicas were storing when the measurement began. It may count a blob twice if another replica stored
        // it during the measurement. The next measurement corrects this.
        var reserved = _reservedBefore.Where(blob => !cached.Counts(blob.Digest)).Sum(blob => blob.Bytes);
        if (await shared.MeasuredAsync(_sharedBefore is null ? bytes : cached.Bytes + reserved, _sharedBefore) is { } all)
            lock (_gate)
                _bytes = all;
        Report();
    }

    /// <summary>Reads the shared size, which includes what the other replicas have stored and evicted.</summary>
    public async ValueTask RefreshAsync()
    {
        if (await shared.BytesAsync() is { } all)
            lock (_gate)
                _bytes = _isMeasured ? all : _bytes;
    }

    /// <summary>Notes that an eviction has removed so many bytes. The downloads that wait for room look again.</summary>
    public void Evicted(long bytes)
    {
        lock (_gate)
            _bytes -= bytes;
        if (bytes > 0)
            _ = shared.AddBytesAsync(-bytes);
        Report();
        LookAgain();
    }

    /// <summary>Notes that an eviction has ended. The downloads that wait for room look again.</summary>
    /// <param name="isStuck">Whether it could evict nothing. Then only a few bytes wait for the next one.</param>
    public void EvictionEnded(bool isStuck)
    {
        Volatile.Write(ref _isStuck, isStuck);
        LookAgain();
        if (isStuck)
            _paceChanged.Raise();
        room?.EvictionEnded(isStuck);
    }

    /// <summary>
    /// Completes when a download finds no room, when <see cref="Remeasure"/> is called, and at the latest after <paramref name="maxWait"/>.
    /// </summary>
    public async Task UntilExceededAsync(TimeSpan maxWait, CancellationToken cancellationToken)
    {
        if (room is not null && !_isListening)
        {
            _isListening = true;
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
            // The longest wait is over.
        }
    }

    /// <summary>Asks for a new measurement, because an eviction may now remove more than the last measurement found.</summary>
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
        // First the blob, then its bytes: a measurement that finds the bytes in the sum finds the blob as well.
        await shared.ReservingAsync(digest, bytes);
        if (await shared.AddBytesAsync(bytes) is not { } all)
            return true;
        lock (_gate)
        {
            _bytes = all;
            if (HasRoom(0, isLast))
                return true;
            // Another replica has taken the room meanwhile.
            _pending.Remove(digest);
            _bytes -= bytes;
        }
        await ReleaseSharedAsync(digest, bytes);
        return false;
    }

    private async Task ReleaseSharedAsync(Digest digest, long bytes)
    {
        await shared.AddBytesAsync(-bytes);
        await shared.UnreserveAsync(digest, bytes);
    }

    // A waiting blob is already on the disk, in a temporary file. So the check of MinFree does not add its bytes: the volume counts them as
    // used already. The last try may exceed a limit by a tenth: then the blob is stored, and the next client causes no download.
    private bool HasRoom(long bytes, bool isLast) =>
        !(_bytes + bytes > (isLast ? MaxBytes + MaxBytes / 10 : MaxBytes))
        && (MinFree is not { } least || Volume() is var volume
            && (volume.Bytes >= (isLast ? least - least / 10 : least) || !volume.CanHaveFree(least)));

    private VolumeRoom Volume() => VolumeRoom.Of(storage.Filesystem.RootDirectory);

    private void Report()
    {
        lock (_gate)
            if (_isMeasured)
                metrics.CacheSize(_bytes, MaxBytes);
    }
}
