namespace Mirror.Storage.Stores;

/// <summary>Random bytes that all processes with one store have in common. No client gets them.</summary>
public interface IStoreSecret
{
    /// <summary>The 32 bytes, always the same. The first process that asks writes them.</summary>
    /// <exception cref="IOException">The store cannot be read, or written by the first process; also as <see
    /// cref="UnauthorizedAccessException"/>.</exception>
    ValueTask<byte[]> ReadAsync(CancellationToken cancellationToken);
}
