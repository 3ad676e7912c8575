namespace Mirror.Storage.Spooling;

/// <summary>The readers, which follow the writer.</summary>
public sealed partial class Spool
{
    /// <summary>A reader of this spool. It can begin at any offset, and works until the spool is disposed.</summary>
    public Content OpenRead() => new Reader(this);

    private async ValueTask<int> ReadAsync(long start, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Take the task before looking at the length: then bytes that come after the look complete it, and no growth is missed.
            var growth = _signal.Next;
            var (readable, atEnd, failure) = Readable(start);
            if (offset < readable
                && RandomAccess.Read(_file, buffer.Span[..(int)Math.Min(buffer.Length, readable - offset)], offset) is > 0 and var read)
                return read;
            // After Release a later spool may have cut the file, so that fewer bytes are in it than were readable.
            if (failure is not null)
                throw new IOException(failure.Message, failure);
            if (atEnd)
                return 0;
            await growth.WaitAsync(cancellationToken);
        }
    }

    private (long Readable, bool AtEnd, Exception? Failure) Readable(long start)
    {
        lock (_gate)
        {
            var length = Length;
            if (_complete)
                return (length, true, null);
            // While the length is unknown, any byte may be one of the last. So the bytes that are held back are always the newest.
            var total = _expectedLength ?? length;
            var readable = Math.Min(length, total - TailLength);
            if (_isBehind)
                readable = Math.Min(readable, start + (long)((total - TailLength - start) * ((double)_hash.Hashed / total)));
            return (readable, false, _failure);
        }
    }

    private sealed class Reader(Spool spool) : Content
    {
        private long? _start;

        public override long? Length => spool.ExpectedLength;

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            spool.ReadAsync(_start ??= offset, offset, buffer, cancellationToken);
    }
}
