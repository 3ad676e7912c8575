using Microsoft.Win32.SafeHandles;

namespace Mirror.Storage.Disk;

/// <summary>Content in a file that never changes.</summary>
internal sealed class FileContent(SafeFileHandle file, long length) : Content, ILocatedContent
{
    public override long? Length => length;

    // Read on the caller's thread: most bytes are in the page cache, and a change of threads would cost more than the copy.
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(RandomAccess.Read(file, buffer.Span, offset));
    }

    /// <summary>Null: a file has no address of its own. Settings may give it one.</summary>
    public ValueTask<Uri?> LocateAsync(CancellationToken cancellationToken) => new((Uri?)null);

    public override ValueTask DisposeAsync()
    {
        file.Dispose();
        return base.DisposeAsync();
    }
}
