namespace Mirror.Configuration;

/// <summary>Section <c>fleet</c>: this replica among the others. There are others where <c>redis</c> and <c>http.secret</c> are given.</summary>
public sealed class FleetOptions
{
    /// <summary>Where the other replicas reach this one, an http or https URL; null (the default) is the host of <c>http.addr</c>, or where that names
    /// none the machine's name, with its port.</summary>
    public string? Address { get; set; }

    /// <summary>How long, after a signal to stop, requests are still taken while readiness says no; null (the default) is 2 seconds among replicas
    /// and none alone.</summary>
    public TimeSpan? Leave { get; set; }
}
