namespace Mirror.Storage;

/// <summary>Bytes that can be read at any offset: stored content, content still arriving, or content at an upstream.</summary>
public abstract class Content : IAsyncDisposable
{
    /// <summary>The whole length in bytes; null while nobody knows it (an upstream that sends chunks).</summary>
    public abstract long? Length { get; }

    /// <summary>Announces which part will be read, before the first read: what is far away can then be asked for in one bounded request.</summary>
    /// <param name="from">The first byte.</param>
    /// <param name="until">The byte behind the last one.</param>
    public virtual ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>
    /// Reads bytes at an offset, waiting for the first of them where they are still on their way.
    /// </summary>
    /// <param name="offset">Where to read, in bytes from the start.</param>
    /// <returns>How many bytes were read; 0 only at the verified end.</returns>
    /// <exception cref="IOException">The bytes cannot be had, or proved wrong: nobody may take what was read so far for the whole.</exception>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }
}
