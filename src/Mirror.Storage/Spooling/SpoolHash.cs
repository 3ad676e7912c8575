using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace Mirror.Storage.Spooling;

/// <summary>
/// The hash of a growing file, computed on another thread than the writer's, because hashing costs more than writing. It reads the written
/// bytes again, which the system still has in memory, so that writer and hash share no buffers. One writer.
/// </summary>
/// <param name="advanced">Gets the number of hashed bytes after each stretch, on the thread that hashes.</param>
internal sealed class SpoolHash(SafeFileHandle file, string algorithm, Action<long>? advanced = null) : IDisposable
{
    // Half a millisecond of work: long enough to be worth a change of threads, and short enough for other work that waits for the thread.
    private const int Stretch = 1 << 20;

    // Small enough for the cache of one core.
    private const int BufferSize = 128 * 1024;

    private readonly ResumableHash _hash = new(algorithm);
    private readonly Lock _gate = new();
    private long _hashed;
    private long _end;
    private bool _disposed;
    // Set while hashing runs, and for ever after it failed.
    private Task? _work;

    /// <summary>How many bytes are hashed.</summary>
    public long Hashed => Volatile.Read(ref _hashed);

    /// <summary>Goes on from what an earlier process has hashed. Only before the first <see cref="Follow"/>.</summary>
    /// <returns>False where that is not possible.</returns>
    public bool Restore(long offset, ReadOnlySpan<byte> state)
    {
        if (!_hash.Restore(offset, state))
            return false;
        _hashed = offset;
        return true;
    }

    /// <summary>The state after the bytes that are hashed; null where it cannot be saved. Only from where it advances.</summary>
    public byte[]? Save() => _hash.Save(_hashed);

    /// <summary>The file has this many bytes now.</summary>
    public void Follow(long length)
    {
        lock (_gate)
        {
            _end = length;
            if (_work is null && _end - _hashed >= Stretch)
                _work = Task.Run(CatchUpAsync);
        }
    }

    /// <summary>The hash of the whole file, which has <paramref name="length"/> bytes now.</summary>
    /// <exception cref="IOException">The file cannot be read, or has become shorter.</exception>
    public async ValueTask<byte[]> FinishAsync(long length, CancellationToken cancellationToken)
    {
        Follow(length);
        Task? work;
        lock (_gate)
            work = _work;
        if (work is not null)
            await work.WaitAsync(cancellationToken);
        // Less than one stretch is left.
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            Hash(length, buffer);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return _hash.Current();
    }

    /// <summary>
    /// Starts again with an empty file. Waits until the stretch that is being hashed has ended. Call it before the file becomes shorter.
    /// </summary>
    public void Reset()
    {
        Task? work;
        lock (_gate)
            (_end, work) = (0, _work);
        // A failure is about bytes that are no longer wanted.
        if (work is not null)
            Task.WhenAny(work).Wait();
        lock (_gate)
            _work = null;
        _hash.Reset();
        _hashed = 0;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            if (_work is null)
                _hash.Dispose();
        }
    }

    private async Task CatchUpAsync()
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (NextStretch() is { } end)
            {
                Hash(end, buffer);
                advanced?.Invoke(end);
                await Task.Yield();
            }
        }
        catch (ObjectDisposedException) when (_disposed)
        {
            _hash.Dispose();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private long? NextStretch()
    {
        lock (_gate)
        {
            if (!_disposed && _end - _hashed >= Stretch)
                return _hashed + Stretch;
            if (_disposed)
                _hash.Dispose();
            _work = null;
            return null;
        }
    }

    private void Hash(long end, byte[] buffer)
    {
        while (_hashed < end)
        {
            var read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(BufferSize, end - _hashed)), _hashed);
            if (read == 0)
                throw new EndOfStreamException($"The spool became shorter than {end} bytes while it was hashed.");
            _hash.Append(buffer.AsSpan(0, read));
            Volatile.Write(ref _hashed, _hashed + read);
        }
    }
}
