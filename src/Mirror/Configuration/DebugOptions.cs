namespace Mirror.Configuration;

/// <summary>Section <c>http.debug</c>: the second server, for metrics and health. It is plain HTTP and asks for no credentials.</summary>
public sealed class DebugOptions
{
    /// <summary>Where it listens, as Go writes it (see <see cref="ListenAddress"/>); null (the default) means there is none.</summary>
    public string? Addr { get; set; }

    public PrometheusOptions Prometheus { get; set; } = new();
}
