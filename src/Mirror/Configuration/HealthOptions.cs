namespace Mirror.Configuration;

/// <summary>Section <c>health</c>: the checks that decide whether the registry reports that it is healthy.</summary>
public sealed class HealthOptions
{
    public StorageHealthOptions StorageDriver { get; set; } = new();

    public FileHealthOptions[] File { get; set; } = [];

    public HttpHealthOptions[] Http { get; set; } = [];

    public TcpHealthOptions[] Tcp { get; set; } = [];
}

/// <summary>The settings of every check.</summary>
public abstract class HealthCheckOptions
{
    /// <summary>The time between two checks, at most 24 hours. Zero means the default; below a second it is a second.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How many failures in a row make the check unhealthy. Zero means the default.</summary>
    public int Threshold { get; set; } = 1;
}

/// <summary><c>health.storagedriver</c>: healthy while the store answers.</summary>
public sealed class StorageHealthOptions : HealthCheckOptions
{
    public bool Enabled { get; set; }
}

/// <summary>An entry of <c>health.file</c>: unhealthy while a file exists. An operator creates the file to take the registry out of
/// service.</summary>
public sealed class FileHealthOptions : HealthCheckOptions
{
    public string File { get; set; } = "";
}

/// <summary>An entry of <c>health.http</c>: healthy while HEAD of a URL is answered with the expected status.</summary>
public sealed class HttpHealthOptions : HealthCheckOptions
{
    public Uri? Uri { get; set; }

    /// <summary>Headers of the request.</summary>
    public Dictionary<string, string[]> Headers { get; set; } = [];

    /// <summary>The expected status; from 100 to 599. Zero means the default.</summary>
    public int StatusCode { get; set => field = value > 0 ? value : StatusCodes.Status200OK; } = StatusCodes.Status200OK;

    /// <summary>How long to wait for the response, at most 24 hours. Zero means the default.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);
}

/// <summary>An entry of <c>health.tcp</c>: healthy while an address accepts connections.</summary>
public sealed class TcpHealthOptions : HealthCheckOptions
{
    /// <summary><c>host:port</c>.</summary>
    public string Addr { get; set; } = "";

    /// <summary>How long to wait for the connection, at most 24 hours. Zero means the default.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);
}
