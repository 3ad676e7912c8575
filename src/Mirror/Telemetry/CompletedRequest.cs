namespace Mirror.Telemetry;

/// <summary>A request that was answered, with the fields of <c>registry:2</c>'s log and of the access log.</summary>
public readonly record struct CompletedRequest
{
    /// <summary>The level of its line in the application log.</summary>
    public required LogLevel Level { get; init; }
    public required string Id { get; init; }

    /// <summary>The client's own name for the request (<c>X-Request-Id</c>).</summary>
    public string? ClientId { get; init; }
    public required string Method { get; init; }
    public string? Host { get; init; }

    /// <summary>Path and query as the client wrote them.</summary>
    public required string Uri { get; init; }

    /// <summary>Such as <c>HTTP/1.1</c>.</summary>
    public required string Protocol { get; init; }

    /// <summary>The client's address, without its port.</summary>
    public string? RemoteAddress { get; init; }
    public int RemotePort { get; init; }
    public string? Referer { get; init; }
    public string? UserAgent { get; init; }

    /// <summary>The authenticated user.</summary>
    public string? User { get; init; }

    /// <summary>The name that came with a wrong password.</summary>
    public string? RefusedUser { get; init; }
    public required int Status { get; init; }

    /// <summary>Body bytes sent.</summary>
    public required long Written { get; init; }
    public string? ContentType { get; init; }

    /// <summary>When the request arrived.</summary>
    public required DateTimeOffset Time { get; init; }
    public required TimeSpan Duration { get; init; }

    /// <summary><see cref="Duration"/> in seconds, to the microsecond.</summary>
    public double Seconds => Math.Round(Duration.TotalSeconds, 6);

    /// <summary>The repository.</summary>
    public string? Name { get; init; }

    /// <summary>Tag or digest of a manifest request.</summary>
    public string? Reference { get; init; }

    /// <summary>Digest of a blob request.</summary>
    public string? Digest { get; init; }

    /// <summary>The UUID of an upload request.</summary>
    public string? Upload { get; init; }

    /// <summary>The code of the OCI error, if the answer is one.</summary>
    public string? ErrorCode { get; init; }
    public string? ErrorMessage { get; init; }

    /// <summary>The exact cause of the error.</summary>
    public string? ErrorDetail { get; init; }

    /// <summary>The advice for the operator, if the client did nothing wrong.</summary>
    public string? Advice { get; init; }

    /// <summary>The source of the content; null for a repository that is not mirrored.</summary>
    public CacheStatus? Cache { get; init; }
}
