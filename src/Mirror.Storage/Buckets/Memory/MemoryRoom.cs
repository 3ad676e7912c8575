using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets.Memory;

/// <summary>Counts the bytes of a store in memory, and lets what is written wait for an eviction.</summary>
/// <param name="max">How many bytes there may be.</param>
/// <param name="time">The clock of the wait.</param>
public sealed class MemoryRoom(long max, TimeProvider time) : IStoreRoom
{
    // What a sweep may have beyond the limit: a few hundred small objects, of which it deletes each in turn.
    private const long Reserve = 64 << 10;

    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly ChangeSignal _changed = new();
    private long _used;
    private long _wanted;
    private int _stuck;

    public event Action? Wanting;

    public long Max => max;

    public long Used => Volatile.Read(ref _used);

    public long Wanted => Volatile.Read(ref _wanted);

    /// <summary>Takes room, and waits for an eviction where there is none.</summary>
    /// <param name="isOfSweep">Whether a sweep needs it, which may go a little beyond the limit: it is about to make room.</param>
    /// <exception cref="IOException">There is none (<see cref="StoreFailures"/>: IsNoSpace).</exception>
    public async ValueTask TakeAsync(long bytes, bool isOfSweep, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var isFirst = true;
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (_used + bytes <= max + (isOfSweep ? Reserve : 0))
                {
                    _used += bytes;
                    return;
                }
                var isOver = time.GetElapsedTime(began) >= MaxWait || (!isFirst && _stuck > 0);
                if (bytes > max || Wanting is null || isOver)
                    throw StoreFailures.NoSpace(
                        $"the store in memory has no room for {bytes} bytes: it holds {_used} of {max} (storage.inmemory.maxsize)");
                if (isFirst)
                    (_stuck, isFirst) = (0, false);
                _wanted += bytes;
                changed = _changed.Next;
            }
            try
            {
                Wanting();
                await changed.WaitAsync(MaxWait, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
            }
            finally
            {
                lock (_gate)
                    _wanted -= bytes;
            }
        }
    }

    /// <summary>Gives room back.</summary>
    public void Free(long bytes)
    {
        lock (_gate)
            _used -= bytes;
        _changed.Raise();
    }

    public void EvictionEnded(bool isStuck)
    {
        lock (_gate)
            _stuck += isStuck ? 1 : 0;
        _changed.Raise();
    }
}
