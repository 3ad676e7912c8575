namespace Mirror.Storage;

/// <summary>Bytes that can be read at any offset: stored content, content that is still arriving, or content at an upstream.</summary>
public abstract class Content : IAsyncDisposable
{
    /// <summary>The whole length in bytes; null while it is unknown, for example while an upstream sends chunks.</summary>
    public abstract long? Length { get; }

    /// <summary>
    /// Announces which part will be read next. A distant store can then fetch that part in one request. A reader of several parts announces
    /// each of them before it reads it.
    /// </summary>
    /// <param name="from">The first byte.</param>
    /// <param name="until">The byte after the last one.</param>
    public virtual ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>Reads bytes at an offset. Waits for the first of them where they have not arrived yet.</summary>
    /// <param name="offset">Where to read, in bytes from the start.</param>
    /// <returns>How many bytes were read; 0 only at the verified end.</returns>
    /// <exception cref="IOException">The bytes cannot be read, or are wrong: the caller must not take what it has read so far for the
    /// whole.</exception>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }
}
