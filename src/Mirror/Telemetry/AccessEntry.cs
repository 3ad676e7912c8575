namespace Mirror.Telemetry;

/// <summary>One line of the access log. A null or empty string becomes a dash.</summary>
public readonly record struct AccessEntry
{
    /// <summary>The client's address, without its port.</summary>
    public string? RemoteAddress { get; init; }

    /// <summary>The authenticated user.</summary>
    public string? User { get; init; }

    /// <summary>When the request arrived.</summary>
    public required DateTimeOffset Time { get; init; }
    public required string Method { get; init; }

    /// <summary>Path and query as the client wrote them.</summary>
    public required string Uri { get; init; }

    /// <summary>Such as <c>HTTP/1.1</c>.</summary>
    public required string Protocol { get; init; }
    public required int Status { get; init; }

    /// <summary>Body bytes sent.</summary>
    public required long Bytes { get; init; }
    public string? Referer { get; init; }
    public string? UserAgent { get; init; }
}
