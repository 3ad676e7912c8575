using System.Diagnostics;

namespace Mirror.Storage.Spooling;

/// <summary>Wakes the readers of a spool when it has grown. One writer, any number of readers.</summary>
/// <remarks>
/// To wake a reader costs system calls. Where small pieces arrive, readers are therefore woken for every 256 KiB, or 10 ms after the first
/// byte that they have not seen.
/// </remarks>
internal sealed class ReaderSignal : IDisposable
{
    private const int WakeEvery = 256 * 1024;
    private static readonly TimeSpan MaxDelay = TimeSpan.FromMilliseconds(10);

    private readonly Timer _timer;
    private TaskCompletionSource _next = New();
    private long _length;
    private long _wokenAt;
    private long _wokenFor;
    private bool _isTimerSet;

    public ReaderSignal() =>
        _timer = new Timer(static signal => ((ReaderSignal)signal!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>Completes at the next wake-up. Take it before looking at the spool: then no growth can be missed.</summary>
    public Task Next => Volatile.Read(ref _next).Task;

    /// <summary>
    /// The spool has this many bytes now: wakes the readers at once, or in a moment where that is little more than before.
    /// </summary>
    public void Grew(long length)
    {
        Volatile.Write(ref _length, length);
        if (length - Volatile.Read(ref _wokenFor) >= WakeEvery || Stopwatch.GetElapsedTime(Volatile.Read(ref _wokenAt)) >= MaxDelay)
            Wake();
        else if (!Interlocked.Exchange(ref _isTimerSet, true))
            _timer.Change(MaxDelay, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Readers may have more for another reason than growth: wakes them. From any thread.</summary>
    public void Advance() => Interlocked.Exchange(ref _next, New()).TrySetResult();

    /// <summary>The spool grows no more: wakes the readers.</summary>
    public void End() => Volatile.Read(ref _next).TrySetResult();

    public void Dispose() => _timer.Dispose();

    private void Wake()
    {
        Volatile.Write(ref _isTimerSet, false);
        Volatile.Write(ref _wokenAt, Stopwatch.GetTimestamp());
        Volatile.Write(ref _wokenFor, Volatile.Read(ref _length));
        Interlocked.Exchange(ref _next, New()).TrySetResult();
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
