using System.Diagnostics;

namespace Mirror.Tests.Upstream;

/// <summary>A link of limited speed that all its connections share: a token bucket, at most 20 ms full.</summary>
public sealed class Throttle
{
    private readonly Lock _gate = new();
    private long _free = Stopwatch.GetTimestamp();

    /// <summary>Bytes a second over all connections; null is as fast as the machine.</summary>
    public long? BytesPerSecond { get; set; }

    /// <summary>Returns when <paramref name="bytes"/> may be sent.</summary>
    internal Task TakeAsync(int bytes, CancellationToken cancellationToken)
    {
        if (BytesPerSecond is not { } rate)
            return Task.CompletedTask;
        TimeSpan wait;
        lock (_gate)
        {
            var now = Stopwatch.GetTimestamp();
            _free = Math.Max(_free, now - Stopwatch.Frequency / 50) + bytes * Stopwatch.Frequency / rate;
            wait = Stopwatch.GetElapsedTime(now, _free);
        }
        return wait > TimeSpan.Zero ? Task.Delay(wait, cancellationToken) : Task.CompletedTask;
    }
}
