namespace Mirror.Configuration;

/// <summary>Section <c>log.accesslog</c>.</summary>
public sealed class AccessLogOptions
{
    /// <summary>Whether the line per request on standard output is left out. Default false.</summary>
    public bool Disabled { get; set; }
}
