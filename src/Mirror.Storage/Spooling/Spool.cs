using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>
/// The temporary file of a fill or an upload: one writer appends, and any number of readers follow at their own speed. The file is the
/// buffer, so memory does not grow with the content. Readers do not get the last bytes (<see cref="TailLength"/>) before the writer has
/// verified the digest and called <see cref="Complete"/>. After <see cref="Fail"/> they get an exception in place of the last bytes.
/// </summary>
public sealed partial class Spool : IAsyncDisposable, IDisposable
{
    /// <summary>How many bytes at the end are held back until the content is verified.</summary>
    public const int TailLength = 4096;

    // If an earlier process left more bytes than this unhashed, readers get bytes only as fast as they are hashed, until the hash has
    // caught up.
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
    // True while more than MaxBehind bytes are not hashed yet: an earlier process wrote them.
    private volatile bool _isBehind;
    private bool _isFromCheckpoint;
    private bool _isReleased;

    private Spool(string path, string algorithm, bool isResumable)
    {
        IsResumable = isResumable;
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

    /// <summary>Whether the file has its temporary name still: it was neither moved nor deleted.</summary>
    public bool IsTemporary => _onDisk.HasName;

    /// <summary>
    /// Whether another program deleted or replaced the file, or its volume is not there. This process can read the bytes still, but no
    /// other one will find them.
    /// </summary>
    public bool IsGone => _onDisk.IsGone;

    /// <summary>Whether a later fill finds the file by its name and resumes it. False after <see cref="OpenPrivate"/>.</summary>
    public bool IsResumable { get; }

    /// <summary>
    /// Completes when more bytes or the end have come since the caller took this task. For a store that takes the bytes while they come.
    /// </summary>
    internal Task Growth => _signal.Next;

    /// <summary>Whether <see cref="Complete"/> was called: the spool grows no more.</summary>
    internal bool IsComplete { get { lock (_gate) return _complete; } }

    /// <summary>Completes when <see cref="Fail"/> or <see cref="Dispose"/> was called.</summary>
    internal Task GivenUp => _givenUp.Task;

    /// <summary>
    /// Opens a spool file for appending. It keeps the bytes of an earlier process, and the writer continues after them.
    /// </summary>
    /// <remarks>
    /// Opening a file does not hash it, so that opening takes the same time for any length. <see cref="Append"/> and
    /// <see cref="Continue"/> start to hash the bytes of the earlier process. While the hash is far behind, a reader gets its bytes only as
    /// fast as they are hashed. So no reader gets most of the bytes at once and then waits long for the last ones.
    /// </remarks>
    /// <param name="path">The file; created where it is missing. Its folder must exist.</param>
    /// <param name="algorithm">The hash to compute while bytes are appended: <c>sha256</c> or <c>sha512</c>.</param>
    /// <exception cref="IOException">The file cannot be created or read, or another process writes it.</exception>
    public static Spool Open(string path, string algorithm) => new(path, algorithm, isResumable: true);

    /// <summary>
    /// As <see cref="Open"/>; but as <see cref="OpenPrivate"/> if another process writes the file. The process that finishes first stores
    /// the content.
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

    /// <summary>Begins to hash the bytes of an earlier process. Call it when it is certain that they will be kept.</summary>
    public void Continue() => _hash.Follow(_length);

    /// <summary>Appends bytes and wakes the readers.</summary>
    /// <exception cref="IOException">The disk did not take all bytes. The spool has the same length as before.</exception>
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
            // The disk may have taken some of the bytes. A process that opens the file later must find the length that this spool reports.
            RandomAccess.SetLength(_file, _length);
            throw;
        }
        Volatile.Write(ref _length, _length + bytes.Length);
        _hash.Follow(_length);
        _signal.Grew(_length);
    }

    /// <summary>
    /// Whether the bytes so far are those that <paramref name="digest"/> names. In two cases this reads all bytes again: the digest has
    /// another algorithm than the spool, or the digest does not fit and an earlier process has hashed some of the bytes.
    /// </summary>
    /// <exception cref="IOException">The disk does not return the bytes that were written.</exception>
    public async ValueTask<bool> VerifyAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (digest.Algorithm == _algorithm && await IsAsync(digest, _hash, cancellationToken))
            return true;
        return (digest.Algorithm != _algorithm || _isFromCheckpoint) && await IsFromStartAsync(digest, cancellationToken);
    }

    /// <summary>
    /// Whether the bytes so far are those that <paramref name="digest"/> names, as far as the running hash knows: no byte is hashed twice,
    /// and more may follow. False also where only <see cref="VerifyAsync"/> could tell.
    /// </summary>
    /// <inheritdoc cref="VerifyAsync" path="/exception"/>
    public async ValueTask<bool> HasDigestAsync(Digest digest, CancellationToken cancellationToken) =>
        digest.Algorithm == _algorithm && await IsAsync(digest, _hash, cancellationToken);

    /// <summary>
    /// If the hash began at a checkpoint of an earlier process, verifies all bytes again, from the first one on. Otherwise returns true.
    /// This can take long: call it where no client waits for bytes.
    /// </summary>
    /// <inheritdoc cref="VerifyAsync" path="/exception"/>
    public async ValueTask<bool> VerifyAgainAsync(Digest digest, CancellationToken cancellationToken) =>
        !_isFromCheckpoint || await IsFromStartAsync(digest, cancellationToken);

    /// <summary>Removes all bytes, so that the writer can start again. Call it only before the first reader comes.</summary>
    public void Reset()
    {
        if (_length == 0)
            return;
        _hash.Reset();
        _onDisk.Reset();
        RandomAccess.SetLength(_file, 0);
        (_isBehind, _isFromCheckpoint) = (false, false);
        _reservation.Reset();
        Volatile.Write(ref _length, 0);
    }

    /// <summary>Some of the appended bytes as a stream, whether or not they are verified.</summary>
    internal Stream OpenSlice(long from, long length) => new FileSlice(_file, from, length);

    /// <summary>Tells the readers that the content is complete and verified: they get the last bytes and the end.</summary>
    public void Complete()
    {
        lock (_gate)
            (_complete, _expectedLength) = (true, Length);
        _signal.Raise();
    }

    /// <summary>
    /// Tells the readers that the content will not become complete. A reader that has read all readable bytes gets an
    /// <see cref="IOException"/> with the message of <paramref name="failure"/>.
    /// </summary>
    public void Fail(Exception failure)
    {
        lock (_gate)
            _failure = failure;
        _signal.Raise();
        _givenUp.TrySetResult();
    }

    /// <summary>
    /// Flushes the file and gives it its final name. If a file with the same bytes has that name already, removes this one; a damaged file
    /// is replaced. Readers can go on reading.
    /// </summary>
    /// <exception cref="IOException"> The disk did not flush or rename the file, which keeps its temporary name. After a failed flush every
    /// further call fails: see <see cref="DiskFlush"/>. </exception>
    public void MoveTo(string path) => _onDisk.MoveTo(path);

    /// <summary>
    /// Deletes the file. Readers can go on reading. If the disk refuses, the file stays until the clean-up of old files removes it.
    /// </summary>
    public void Delete() => _onDisk.Delete();

    /// <summary>
    /// Lets a later spool open the file and go on after its last byte, while readers of this one still read what it has. Append nothing
    /// afterwards, and call <see cref="Fail"/>.
    /// </summary>
    public void Release()
    {
        _isReleased = true;
        _hash.Dispose();
        _onDisk.Dispose();
        _reservation.Release(_length);
        Durable.Unlock(_file);
    }

    /// <summary>Lets another process append to the file, until <see cref="LockAgain"/>.</summary>
    public void Unlock()
    {
        _reservation.Release(_length);
        _reservation.Reset();
        Durable.Unlock(_file);
    }

    /// <summary>Takes the file for this process again.</summary>
    /// <returns>False if another process has appended to it meanwhile: the spool must be opened anew.</returns>
    /// <exception cref="IOException">Another process writes the file.</exception>
    public bool LockAgain()
    {
        Durable.LockAgain(_file);
        return RandomAccess.GetLength(_file) == _length;
    }

    /// <summary>Closes the file. If it was neither moved nor deleted, it stays, and a later spool can open it again.</summary>
    public void Dispose()
    {
        _givenUp.TrySetResult();
        _signal.Dispose();
        _hash.Dispose();
        _onDisk.Dispose();
        if (_onDisk.HasName && !_file.IsClosed && !_isReleased)
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
            _signal.Raise();
        }
        _onDisk.SaveIfDue(_hash, hashed);
    }

    private async ValueTask<bool> IsFromStartAsync(Digest digest, CancellationToken cancellationToken)
    {
        using var hash = new SpoolHash(_file, digest.Algorithm);
        return await IsAsync(digest, hash, cancellationToken);
    }

    private async ValueTask<bool> IsAsync(Digest digest, SpoolHash hash, CancellationToken cancellationToken) =>
        Digest.FromHash(digest.Algorithm, await hash.FinishAsync(Length, cancellationToken)) == digest;
}
