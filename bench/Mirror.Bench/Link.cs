using System.Diagnostics;

namespace Mirror.Bench;

/// <summary>A link with a rate in bytes per second, which all senders share.</summary>
internal sealed class Link(double bytesPerSecond)
{
    // How much a late wake-up may send at once to catch up.
    private static readonly long Burst = Stopwatch.Frequency / 100;

    private readonly Lock _gate = new();
    private long _free = Stopwatch.GetTimestamp();

    /// <summary>Returns when the bytes have gone over the link.</summary>
    public void Pass(int bytes)
    {
        long until;
        lock (_gate)
            until = _free = Math.Max(_free, Stopwatch.GetTimestamp() - Burst) + (long)(bytes / bytesPerSecond * Stopwatch.Frequency);
        var wait = until - Stopwatch.GetTimestamp();
        if (wait > 0)
            Thread.Sleep(TimeSpan.FromSeconds((double)wait / Stopwatch.Frequency));
    }
}
