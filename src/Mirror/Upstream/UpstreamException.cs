namespace Mirror.Upstream;

/// <summary>One of the three answers that are not content. They are never turned into one another.</summary>
public abstract class UpstreamException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Upstream says no: it has no such content, or not for us. Definitive, whatever we hold.</summary>
public sealed class UpstreamRefusedException(string message) : UpstreamException(message);

/// <summary>Upstream says later: a limit is reached.</summary>
/// <param name="retryAfter">How long upstream asked us to wait; null where it did not say.</param>
public sealed class UpstreamLimitedException(string message, TimeSpan? retryAfter) : UpstreamException(message)
{
    public TimeSpan? RetryAfter => retryAfter;
}

/// <summary>Upstream says nothing: it cannot be reached, fails, or answers what no registry answers.</summary>
public sealed class UpstreamUnavailableException(string message, Exception? inner = null) : UpstreamException(message, inner)
{
    /// <summary>It would not take the login of the account that asked: another account may fare better.</summary>
    public bool IsLoginRefused { get; init; }

    /// <summary>It answered with the whole where a part was asked for: the whole can be had.</summary>
    public bool IsRangeIgnored { get; init; }
}
