using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>The downloads of blobs into the store, from upstream or from another replica.</summary>
public sealed class FillMetrics(MirrorMeter meter)
{
    private static readonly Tag Completed = new("outcome", "completed");
    private static readonly Tag Failed = new("outcome", "failed");

    private readonly UpDownCounter<long> _running =
        meter.ZeroUpDownCounter("mirror_fills_running", "Downloads of blobs running now, from upstream or from another replica.");

    private readonly Histogram<double> _seconds =
        meter.Seconds("mirror_fill_seconds", "Time such a download took.", Durations);

    private readonly Counter<long> _joined =
        meter.ZeroCounter("mirror_fill_clients_joined_total", "Requests that joined a running download.");

    private static double[] Durations => [.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600];

    public void Started() => _running.Add(1);

    /// <param name="completed">Whether all content arrived and was verified.</param>
    public void Ended(bool completed, double seconds)
    {
        _running.Add(-1);
        _seconds.Record(seconds, completed ? Completed : Failed);
    }

    /// <summary>Counts a request that joined a running download.</summary>
    public void Joined() => _joined.Add(1);
}
