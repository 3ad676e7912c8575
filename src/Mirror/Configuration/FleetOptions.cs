namespace Mirror.Configuration;

/// <summary>Section <c>fleet</c>: this replica among others. There are others where <c>redis</c> and <c>http.secret</c> are set.</summary>
public sealed class FleetOptions
{
    /// <summary>
    /// Where other replicas reach this one, an http or https URL. Null (the default) is the host of <c>http.addr</c>, or the machine's name
    /// where that names no host, with the port of <c>http.addr</c>.
    /// </summary>
    public string? Address { get; set; }

    /// <summary>
    /// How long the server takes requests after a signal to stop, while readiness fails. Null (the default) is 2 seconds among replicas,
    /// and no time alone.
    /// </summary>
    public TimeSpan? Leave { get; set; }
}
