namespace Mirror.Storage;

/// <summary>
/// The store did not answer, or refused access: whether it has the content is unknown. The caller can ask again later, or once the settings
/// are right.
/// </summary>
public sealed class StoreUnavailableException(string message, Exception? cause = null) : IOException(message, cause);
