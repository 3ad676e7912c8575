namespace Mirror.Limits;

/// <summary>The server is doing as much as it can: the client may come again.</summary>
/// <param name="retryAfter">When it may come again.</param>
/// <param name="advice">What the operator can do so that it does not happen again. Clients do not get it.</param>
public sealed class BusyException(string message, TimeSpan retryAfter, string advice) : Exception(message)
{
    public TimeSpan RetryAfter => retryAfter;

    public string Advice => advice;

    /// <summary>Whether the client itself asks for more than its share, and the server has room for others.</summary>
    public bool IsOfClient { get; init; }
}
