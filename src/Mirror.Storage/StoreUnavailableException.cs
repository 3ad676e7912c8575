namespace Mirror.Storage;

/// <summary>
/// The store gave no answer, or refused us: nothing is known of what was asked for. It may be there; later, or once the settings are right, it can
/// be asked again.
/// </summary>
public sealed class StoreUnavailableException(string message, Exception? cause = null) : IOException(message, cause);
