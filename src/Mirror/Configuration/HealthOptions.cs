namespace Mirror.Configuration;

/// <summary>Section <c>health</c>: what has to be well for the registry to say that it is.</summary>
public sealed class HealthOptions
{
    public StorageHealthOptions StorageDriver { get; set; } = new();

    public FileHealthOptions[] File { get; set; } = [];

    public HttpHealthOptions[] Http { get; set; } = [];

    public TcpHealthOptions[] Tcp { get; set; } = [];
}

/// <summary>What all checks have in common.</summary>
public abstract class HealthCheckOptions
{
    /// <summary>How long from one look to the next; less than a second is a second. Default 10 seconds, as for 0.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>After how many failures in a row it counts; 0 (the default) as 1: after the first.</summary>
    public int Threshold { get; set; }
}

/// <summary><c>health.storagedriver</c>: whether the store answers.</summary>
public sealed class StorageHealthOptions : HealthCheckOptions
{
    /// <summary>Default false.</summary>
    public bool Enabled { get; set; }
}

/// <summary>An entry of <c>health.file</c>: unhealthy for as long as a file is there, so that an operator may take the registry out by touching it.</summary>
public sealed class FileHealthOptions : HealthCheckOptions
{
    public string File { get; set; } = "";
}

/// <summary>An entry of <c>health.http</c>: healthy while a HEAD of an address has a certain status.</summary>
public sealed class HttpHealthOptions : HealthCheckOptions
{
    public Uri? Uri { get; set; }

    /// <summary>Sent with it.</summary>
    public Dictionary<string, string[]> Headers { get; set; } = [];

    /// <summary>Default 200.</summary>
    public int StatusCode { get; set; } = StatusCodes.Status200OK;

    /// <summary>For the answer. Default 10 seconds, as for 0.</summary>
    public TimeSpan Timeout { get; set; }
}

/// <summary>An entry of <c>health.tcp</c>: healthy while an address can be connected to.</summary>
public sealed class TcpHealthOptions : HealthCheckOptions
{
    /// <summary>As <c>host:port</c>.</summary>
    public string Addr { get; set; } = "";

    /// <summary>For the connection. Default 10 seconds, as for 0.</summary>
    public TimeSpan Timeout { get; set; }
}
