namespace Mirror.Storage;

/// <summary>The store did not answer, or refused access: whether it has the content is unknown. The caller can ask again later.</summary>
public sealed class StoreUnavailableException(string message, Exception? cause = null) : IOException(message, cause)
{
    /// <summary>Whether the container does not exist, and a server would make it.</summary>
    public bool IsContainerMissing { get; init; }
}
