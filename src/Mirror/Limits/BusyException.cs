namespace Mirror.Limits;

/// <summary>The server is doing as much as it can: the client may come again.</summary>
/// <param name="retryAfter">When it may come again.</param>
public sealed class BusyException(string message, TimeSpan retryAfter) : Exception(message)
{
    public TimeSpan RetryAfter => retryAfter;

    /// <summary>Whether the client itself asks for more than its share, and the server has room for others.</summary>
    public bool IsOfClient { get; init; }
}
