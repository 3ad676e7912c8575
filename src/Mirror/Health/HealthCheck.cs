using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>A check of section <c>health</c>.</summary>
/// <param name="name">Its name in logs and answers. It must hold no secret.</param>
internal abstract class HealthCheck(string name, HealthCheckOptions options)
{
    private static readonly TimeSpan Default = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(1);

    public string Name => name;

    /// <summary>The time from one check to the next: at least a second.</summary>
    public TimeSpan Interval =>
        options.Interval == TimeSpan.Zero ? Default : options.Interval < MinInterval ? MinInterval : options.Interval;

    /// <summary>After how many failures in a row the check counts as failed.</summary>
    public int Threshold => Math.Max(1, options.Threshold);

    /// <summary>The time limit of one check.</summary>
    public virtual TimeSpan TimeLimit => Default;

    /// <summary>
    /// Whether the server refuses all requests while the check fails. While the store fails it refuses none: it can serve copies on the
    /// local disk, and a request that needs the bucket fails without this check.
    /// </summary>
    public virtual bool Refuses => true;

    /// <summary>Checks once: the reason of the failure, or null for a success. An exception is a failure too.</summary>
    public abstract Task<string?> FailureAsync(CancellationToken cancellationToken);

    /// <summary>The configured time limit, or the default for 0.</summary>
    protected static TimeSpan TimeLimitOf(TimeSpan timeout) => timeout > TimeSpan.Zero ? timeout : Default;
}
