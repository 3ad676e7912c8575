using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>
/// The temporary file of a fill or an upload: one writer appends, and any number of readers follow at their own speed. The file is the
/// buffer, so memory does not grow with the content. Readers do not get the last bytes (<see cref="TailLength"/>) before the writer has
/// verified the digest and called <see cref="Complete"/>. After <see cref="Fail"/> they get an exception in place of an end.
/// </summary>
public sealed class Spool : IAsyncDisposable, IDisposable
{
    /// <summary>How many bytes at the end are held back until the content is verified.</summary>
    public const int TailLength = 4096;

    // A hash that is further behind than this holds readers back.
    private const long MaxBehind = 16 << 20;

    private readonly SafeFileHandle _file;
    private readonly SpoolFile _onDisk;
    private readonly string _algorithm;
    private readonly SpoolHash _hash;
    private readonly Reservation _reservation;
    private readonly ReaderSignal _signal = new();
    private readonly TaskCompletionSource _givenUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private long _length;
    private long? _expectedLength;
    private bool _complete;
    private Exception? _failure;
    // Bytes of an earlier process are not hashed yet.
    private volatile bool _isBehind;
    private bool _isFromCheckpoint;

    private Spool(string path, string algorithm, bool isResumable)
    {
        _file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        (_algorithm, _onDisk) = (algorithm, new SpoolFile(path, algorithm, _file, isResumable));
        _hash = new SpoolHash(_file, algorithm, OnHashed);
        _reservation = new Reservation(_file);
        _length = RandomAccess.GetLength(_file);
        if (_length == 0)
            _onDisk.Reset();
        else
            _isFromCheckpoint = _onDisk.Restore(_hash, _length);
        _isBehind = _length - _hash.Hashed > MaxBehind;
    }

    /// <summary>How many bytes were appended so far, by this process or an earlier one.</summary>
    public long Length => Volatile.Read(ref _length);

    /// <summary>How long the content will be in bytes; null while that is unknown. Set it before the first reader comes.</summary>
    public long? ExpectedLength
    {
        get { lock (_gate) return _expectedLength; }
        set { lock (_gate) _expectedLength = value; }
    }

    /// <summary>
    /// Completes when more bytes have come, or the end, since the caller took this task. For a store that takes the bytes while they come.
    /// </summary>
    internal Task Growth => _signal.Next;

    /// <summary>Whether <see cref="Complete"/> was called: the spool grows no more.</summary>
    internal bool IsComplete { get { lock (_gate) return _complete; } }

    /// <summary>Completes when the spool has failed or was closed.</summary>
    internal Task GivenUp => _givenUp.Task;

    /// <summary>
    /// Opens a spool file for appending. It keeps the bytes of an earlier process, and the writer continues after them. Those that are not
    /// hashed yet are when more bytes come, or by <see cref="Continue"/>, so that opening costs the same for any length. Until then readers
    /// get their part of the whole as slowly as it is hashed: none waits long for a byte, and none waits long for the last ones.
    /// </summary>
    /// <param name="path">The file; created where it is missing. Its folder must exist.</param>
    /// <param name="algorithm">The hash to compute while bytes are appended: <c>sha256</c> or <c>sha512</c>.</param>
    /// <exception cref="IOException">The file cannot be created or read, or another process writes it.</exception>
    public static Spool Open(string path, string algorithm) => new(path, algorithm, isResumable: true);

    /// <summary>
    /// As <see cref="Open"/>, or as <see cref="OpenPrivate"/> while another process writes the file: the first to finish stores it.
    /// </summary>
    /// <exception cref="IOException">The file cannot be created or read.</exception>
    public static Spool OpenOrPrivate(string path, string algorithm)
    {
        try
        {
            return Open(path, algorithm);
        }
        catch (IOException taken) when (taken.IsHeldByAnother)
        {
            return OpenPrivate(path, algorithm);
        }
    }

    /// <summary>Opens an empty spool with a random name next to the file that another process writes, or will write.</summary>
    /// <param name="path">The other process's file; its folder must exist.</param>
    /// <exception cref="IOException">The file cannot be created.</exception>
    public static Spool OpenPrivate(string path, string algorithm) =>
        new($"{path}.{Path.GetRandomFileName()}", algorithm, isResumable: false);

    /// <summary>Begins to hash the bytes of an earlier process: they will be kept.</summary>
    public void Continue() => _hash.Follow(_length);

    /// <summary>Appends bytes and wakes the readers.</summary>
    /// <exception cref="IOException">The disk did not take all bytes; the spool ends where it ended before.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return;
        _reservation.Extend(_length, _length + bytes.Length, ExpectedLength);
        try
        {
            RandomAccess.Write(_file, bytes, _length);
        }
        catch (IOException)
        {
            // The disk may have taken a part. A process that opens the file later must find the length that this one reports.
            RandomAccess.SetLength(_file, _length);
            throw;
        }
        Volatile.Write(ref _length, _length + bytes.Length);
        _hash.Follow(_length);
        _signal.Grew(_length);
    }

    /// <summary>
    /// Whether the bytes so far are those that <paramref name="digest"/> names. For another algorithm than the spool's, all are read again.
    /// </summary>
    /// <exception cref="IOException">The disk does not return what it took.</exception>
    public async ValueTask<bool> VerifyAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (digest.Algorithm == _algorithm && await IsAsync(digest, _hash, cancellationToken))
            return true;
        return (digest.Algorithm != _algorithm || _isFromCheckpoint) && await IsFromStartAsync(digest, cancellationToken);
    }

    /// <summary>
    /// Verifies once more what was verified with the help of an earlier process's checkpoint, from the first byte on; else returns true.
    /// For callers that make no client wait.
    /// </summary>
    /// <inheritdoc cref="VerifyAsync" path="/exception"/>
    public async ValueTask<bool> VerifyAgainAsync(Digest digest, CancellationToken cancellationToken) =>
        !_isFromCheckpoint || await IsFromStartAsync(digest, cancellationToken);

    /// <summary>Drops every byte, so that the writer can start again. Only before the first reader comes.</summary>
    public void Reset()
    {
        if (_length == 0)
            return;
        _onDisk.Reset();
        RandomAccess.SetLength(_file, 0);
        _hash.Reset();
        (_isBehind, _isFromCheckpoint) = (false, false);
        _reservation.Reset();
        Volatile.Write(ref _length, 0);
    }

    /// <summary>Bytes that were appended, verified or not, as a stream.</summary>
    internal Stream OpenSlice(long from, long length) => new FileSlice(_file, from, length);

    /// <summary>The content is whole and verified: readers get the tail and the end.</summary>
    public void Complete()
    {
        lock (_gate)
            _complete = true;
        _signal.End();
    }

    /// <summary>The content will not become whole: readers that reach the end of the bytes get <paramref name="failure"/>.</summary>
    public void Fail(Exception failure)
    {
        lock (_gate)
            _failure = failure;
        _signal.End();
        _givenUp.TrySetResult();
    }

    /// <summary>Flushes the file and gives it its final name, or drops it where that name exists already. Readers go on reading.</summary>
    /// <exception cref="IOException">
    /// The disk refused; the spool keeps its name. After a failed flush every further call fails: see <see cref="DiskFlush"/>.
    /// </exception>
    public void MoveTo(string path) => _onDisk.MoveTo(path);

    /// <summary>Removes the file's name; readers go on reading. On a disk that refuses, the file stays until it is old.</summary>
    public void Delete() => _onDisk.Delete();

    /// <summary>A reader of this spool, from any offset, until the spool is disposed.</summary>
    public Content OpenRead() => new Reader(this);

    /// <summary>Closes the file. A file that was neither moved nor deleted stays, to be opened again.</summary>
    public void Dispose()
    {
        _givenUp.TrySetResult();
        _signal.Dispose();
        _hash.Dispose();
        _onDisk.Dispose();
        if (_onDisk.HasName && !_file.IsClosed)
            _reservation.Release(_length);
        _file.Dispose();
    }

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private void OnHashed(long hashed)
    {
        if (_isBehind)
        {
            _isBehind = Length - hashed > MaxBehind;
            _signal.Advance();
        }
        _onDisk.SaveIfDue(_hash, hashed);
    }

    private async ValueTask<int> ReadAsync(long start, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            // First, so that bytes which come after the next line complete it.
            var growth = _signal.Next;
            var (readable, atEnd, failure) = Readable(start);
            if (offset < readable)
                return RandomAccess.Read(_file, buffer.Span[..(int)Math.Min(buffer.Length, readable - offset)], offset);
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
            // Without a known length any byte may be among the last, so the tail moves along with the writer.
            var total = _expectedLength ?? length;
            var readable = Math.Min(length, total - TailLength);
            if (_isBehind)
                readable = Math.Min(readable, start + (long)((total - TailLength - start) * ((double)_hash.Hashed / total)));
            return (readable, false, _failure);
        }
    }

    private async ValueTask<bool> IsFromStartAsync(Digest digest, CancellationToken cancellationToken)
    {
        using var hash = new SpoolHash(_file, digest.Algorithm);
        return await IsAsync(digest, hash, cancellationToken);
    }

    private async ValueTask<bool> IsAsync(Digest digest, SpoolHash hash, CancellationToken cancellationToken) =>
        Digest.FromHash(digest.Algorithm, await hash.FinishAsync(Length, cancellationToken)) == digest;

    private sealed class Reader(Spool spool) : Content
    {
        private long? _start;

        public override long? Length => spool.ExpectedLength;

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            spool.ReadAsync(_start ??= offset, offset, buffer, cancellationToken);
    }
}
