using System.Diagnostics;

namespace Mirror.Storage.Spooling;

/// <summary>Wakes the readers of a spool when it has grown. One writer, any number of readers.</summary>
/// <remarks>
/// To wake a reader costs system calls. So if bytes arrive in small pieces, this class wakes the readers after 256 KiB, or 10 ms after the
/// first byte that they have not seen.
/// </remarks>
internal sealed class ReaderSignal : IDisposable
{
    private const int WakeEvery = 256 * 1024;
    private static readonly TimeSpan MaxDelay = TimeSpan.FromMilliseconds(10);

    private readonly Timer _timer;
    private readonly ChangeSignal _grown = new();
    private long _length;
    private long _wokenAt;
    private long _wokenFor;
    private bool _isTimerSet;

    public ReaderSignal() =>
        _timer = new Timer(static signal => ((ReaderSignal)signal!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>Completes at the next wake-up. Take it before looking at the spool: then no growth can be missed.</summary>
    public Task Next => _grown.Next;

    /// <summary>
    /// Notes how many bytes the spool has now. Wakes the readers at once, or a moment later if there are only a few new bytes.
    /// </summary>
    public void Grew(long length)
    {
        Volatile.Write(ref _length, length);
        if (length - Volatile.Read(ref _wokenFor) >= WakeEvery || Stopwatch.GetElapsedTime(Volatile.Read(ref _wokenAt)) >= MaxDelay)
            Wake();
        else if (!Interlocked.Exchange(ref _isTimerSet, true))
            _timer.Change(MaxDelay, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Wakes the readers at once: they may have more bytes without new ones in the spool, or the spool grows no more. Call it from
    /// any thread.</summary>
    public void Raise() => _grown.Raise();

    public void Dispose() => _timer.Dispose();

    private void Wake()
    {
        Volatile.Write(ref _isTimerSet, false);
        Volatile.Write(ref _wokenAt, Stopwatch.GetTimestamp());
        Volatile.Write(ref _wokenFor, Volatile.Read(ref _length));
        Raise();
    }
}
