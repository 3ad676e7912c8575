using System.Diagnostics.Metrics;
using OpenTelemetry.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>
/// Makes the instruments of all metrics: those of <c>registry:3</c> under their own names, and ours under <c>mirror_</c>; see
/// <c>docs/metrics.md</c>. The classes that record them are thread-safe and allocate nothing. While no exporter listens, a call costs a few
/// nanoseconds. No label holds a repository name.
/// </summary>
public sealed class MirrorMeter(IMeterFactory meters)
{
    /// <summary>The name of the meter, by which exporters find it.</summary>
    public const string Name = "Mirror";

    private readonly List<Action> _zeros = [];

    /// <summary>The meter of this instance. In one process several meters can have its name.</summary>
    internal Meter Meter { get; } = meters.Create(Name);

    /// <summary>The bounds of <c>registry:3</c> for seconds.</summary>
    internal static double[] Durations => [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 60];

    /// <summary>A view that drops the meters of other instances: the SDK finds meters by name and would add their numbers.</summary>
    internal MetricStreamConfiguration? DropOthers(Instrument instrument) =>
        instrument.Meter.Name == Name && instrument.Meter != Meter ? MetricStreamConfiguration.Drop : null;

    /// <summary>
    /// Shows the counters before their first event, as <c>registry:3</c> does. Prometheus' <c>rate</c> does not see the increment with
    /// which a series appears. Call it once an exporter listens.
    /// </summary>
    internal void StartAtZero() => _zeros.ForEach(zero => zero());

    internal Counter<long> Counter(string name, string help, string? unit = null) => Meter.CreateCounter<long>(name, unit, help);

    /// <summary>A counter that starts at zero: without labels, or for each of these.</summary>
    internal Counter<long> ZeroCounter(string name, string help, string? unit = null, params Tag[][] labels)
    {
        var counter = Counter(name, help, unit);
        foreach (var series in labels.DefaultIfEmpty([]))
            _zeros.Add(() => counter.Add(0, series));
        return counter;
    }

    /// <summary>A counter whose series are read only when metrics are.</summary>
    internal void ObservedCounter(string name, string help, string? unit, Func<IEnumerable<Measurement<long>>> read) =>
        Meter.CreateObservableCounter(name, read, unit, help);

    internal UpDownCounter<long> UpDownCounter(string name, string help) => Meter.CreateUpDownCounter<long>(name, null, help);

    /// <summary>A number of things without labels, which starts at zero.</summary>
    internal UpDownCounter<long> ZeroUpDownCounter(string name, string help)
    {
        var counter = UpDownCounter(name, help);
        _zeros.Add(() => counter.Add(0));
        return counter;
    }

    internal Gauge<long> Gauge(string name, string help, string? unit = null) => Meter.CreateGauge<long>(name, unit, help);

    internal Histogram<double> Seconds(string name, string help, double[] bounds) => Histogram(name, "s", help, bounds);

    internal Histogram<double> Histogram(string name, string unit, string help, double[] bounds) =>
        Meter.CreateHistogram(name, unit, help, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });
}
