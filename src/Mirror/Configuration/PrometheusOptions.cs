namespace Mirror.Configuration;

/// <summary>Section <c>http.debug.prometheus</c>.</summary>
public sealed class PrometheusOptions
{
    /// <summary>Whether metrics are served. Default false.</summary>
    public bool Enabled { get; set; }

    /// <summary>Their path on the debug server; it begins with a slash. Default <c>/metrics</c>.</summary>
    public string Path { get; set; } = "/metrics";
}
