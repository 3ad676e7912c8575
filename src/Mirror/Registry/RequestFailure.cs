namespace Mirror.Registry;

/// <summary>Why a request failed: the error that the client got, and what the log says about it.</summary>
/// <param name="Detail">What the client learns beside the error.</param>
/// <param name="Advice">What the operator can do, where upstream, the store or the settings caused it; null where the client did.</param>
public sealed record RequestFailure(RegistryError Error, string? Detail, string? Advice)
{
    /// <summary>When the client may ask again; null where the answer does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The cause, for the log and not for the client; null if <see cref="Detail"/> has all of it.</summary>
    public string? Cause { get; init; }

    /// <summary>
    /// The level of the failure's line in the log. An operator may have set an alarm for warnings and errors: a client's mistake must not
    /// cause an alarm, an outage must.
    /// </summary>
    public LogLevel Level => Error.Status switch
    {
        500 => LogLevel.Error,
        429 or > 500 when Advice is not null => LogLevel.Error,
        > 500 => LogLevel.Warning,
        _ => Advice is null ? LogLevel.Information : LogLevel.Warning,
    };
}
