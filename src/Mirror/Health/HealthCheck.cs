using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>One check of section <c>health</c>.</summary>
/// <param name="name">What its failure is told by: nothing secret.</param>
internal abstract class HealthCheck(string name, HealthCheckOptions options)
{
    private static readonly TimeSpan Default = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(1);

    public string Name => name;

    /// <summary>From one look to the next.</summary>
    public TimeSpan Interval => options.Interval == TimeSpan.Zero ? Default : options.Interval < MinInterval ? MinInterval : options.Interval;

    /// <summary>How many failures in a row count.</summary>
    public int Threshold => Math.Max(1, options.Threshold);

    /// <summary>For one look.</summary>
    public virtual TimeSpan Limit => Default;

    /// <summary>
    /// Whether a failure keeps every request from being answered. Not that of the store: what is local of a bucket is served while that is away, and
    /// what is not says so itself.
    /// </summary>
    public virtual bool Refuses => true;

    /// <summary>What is wrong now; null where nothing is. An exception says it as well.</summary>
    public abstract Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken);

    /// <summary>A time limit where none, which is 0, was set.</summary>
    protected static TimeSpan LimitOf(TimeSpan timeout) => timeout > TimeSpan.Zero ? timeout : Default;
}
