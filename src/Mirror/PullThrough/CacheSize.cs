using System.Collections.Concurrent;
using System.Threading.Channels;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.PullThrough;

/// <summary>How many bytes of mirrored blobs there are, and which blobs are in use; only if <c>proxy.max_size</c> limits them.</summary>
public sealed class CacheSize(ProxyOptions proxy, IContentStore content, StoreMetrics metrics, TimeProvider time)
{
    // Record a use at most this often; it bounds the accuracy of the LRU order. Shorter than the evictor's grace, so that blobs in steady
    // use stay.
    private static readonly TimeSpan UseInterval = TimeSpan.FromSeconds(30);

    // With more blobs in use than this, uses are recorded more often than needed.
    private const int MaxRemembered = 100_000;

    private readonly Channel<bool> _exceeded =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly ConcurrentDictionary<Digest, bool> _used = new();
    private long _usedSince = time.GetTimestamp();
    private long _counted;
    private long _stored;
    private long _storedBefore;

    /// <summary>The limit in bytes; null where there is none.</summary>
    public long? MaxBytes => proxy.MaxSize;

    /// <summary>This process stored a mirrored blob.</summary>
    public void Stored(long bytes)
    {
        if (MaxBytes is null)
            return;
        Interlocked.Add(ref _stored, bytes);
        Report();
    }

    /// <summary>Call before measuring. Bytes stored during the measurement may count twice, never not at all.</summary>
    public void BeginCount() => _storedBefore = Volatile.Read(ref _stored);

    /// <summary>Takes in the measured number of bytes.</summary>
    public void Counted(long bytes)
    {
        Volatile.Write(ref _counted, bytes);
        Interlocked.Add(ref _stored, -_storedBefore);
        _exceeded.Reader.TryRead(out _);
        Report();
    }

    /// <summary>Completes when there seem to be more bytes than the limit, or after <paramref name="maxWait"/>.</summary>
    public async Task UntilExceededAsync(TimeSpan maxWait, CancellationToken cancellationToken)
    {
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

    /// <summary>Records that a blob is being served, which makes it one of the last to be evicted.</summary>
    public async ValueTask UsedAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (MaxBytes is null)
            return;
        if (time.GetElapsedTime(Volatile.Read(ref _usedSince)) > UseInterval || _used.Count >= MaxRemembered)
        {
            Volatile.Write(ref _usedSince, time.GetTimestamp());
            _used.Clear();
        }
        if (!_used.TryAdd(digest, true))
            return;
        try
        {
            await content.TouchAsync(digest, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // A store that cannot be written cannot evict either.
        }
    }

    private long Bytes => Volatile.Read(ref _counted) + Volatile.Read(ref _stored);

    private void Report()
    {
        metrics.CacheSize(Bytes, MaxBytes!.Value);
        if (Bytes > MaxBytes)
            _exceeded.Writer.TryWrite(true);
    }
}
