namespace Mirror.Configuration;

/// <summary>Section <c>http.http2</c>.</summary>
public sealed class Http2Options
{
    /// <summary>Whether HTTP/2 is refused. Default false.</summary>
    public bool Disabled { get; set; }
}
