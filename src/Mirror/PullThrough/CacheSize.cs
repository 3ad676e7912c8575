using System.Collections.Concurrent;
using System.Threading.Channels;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.PullThrough;

/// <summary>How much mirrored content there is, and which of it is used, where <c>proxy.max_size</c> limits it. Without a limit nothing is kept track of.</summary>
public sealed class CacheSize(ProxyOptions proxy, IContentStore content, RegistryMetrics metrics, TimeProvider time)
{
    // A use is written down once in so long: that is how exactly "longest unused" is told. Less than Evictor's grace, so that what is in steady use
    // never goes.
    private static readonly TimeSpan Exactness = TimeSpan.FromSeconds(30);

    // Beyond that uses are written down more often than needed.
    private const int MaxRemembered = 100_000;

    private readonly Channel<bool> _exceeded = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly ConcurrentDictionary<Digest, bool> _used = new();
    private long _usedSince = time.GetTimestamp();
    private long _counted;
    private long _stored;
    private long _storedBefore;

    /// <summary>In bytes; null where there is no limit.</summary>
    public long? Most => proxy.MaxSize;

    /// <summary>More was stored by this process.</summary>
    public void Stored(long bytes)
    {
        if (Most is not { } most)
            return;
        Interlocked.Add(ref _stored, bytes);
        metrics.CacheSize(Bytes);
        if (Bytes > most)
            _exceeded.Writer.TryWrite(true);
    }

    /// <summary>It is about to be counted how much there is; what is stored meanwhile may be found or not, and counts twice rather than never.</summary>
    public void BeginCount() => _storedBefore = Volatile.Read(ref _stored);

    /// <summary>So much was found.</summary>
    public void Counted(long bytes)
    {
        Volatile.Write(ref _counted, bytes);
        Interlocked.Add(ref _stored, -_storedBefore);
        metrics.CacheSize(Bytes);
        _exceeded.Reader.TryRead(out _);
        if (Bytes > Most)
            _exceeded.Writer.TryWrite(true);
    }

    /// <summary>Completes when there seems to be more than the limit, or at the latest after <paramref name="longest"/>.</summary>
    public async Task UntilExceededAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        using var end = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, end.Token);
        try
        {
            await _exceeded.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Long enough.
        }
    }

    /// <summary>Content is served: it is among the last to go from now on.</summary>
    public async ValueTask UsedAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (Most is null)
            return;
        if (time.GetElapsedTime(Volatile.Read(ref _usedSince)) > Exactness || _used.Count >= MaxRemembered)
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
            // Where nothing can be written, nothing will be removed either.
        }
    }

    private long Bytes => Volatile.Read(ref _counted) + Volatile.Read(ref _stored);
}
