using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>
/// Bytes on their way in: one writer appends, any number of readers follow at their own speed, and nothing has its final name yet.
/// The file is the buffer, so memory does not grow with the content. Readers get everything but the last bytes
/// (<see cref="TailLength"/>) until the writer calls <see cref="Complete"/>, which it does only once the digest has proved right; after
/// <see cref="Fail"/> they get an exception instead of an end.
/// </summary>
public sealed class Spool : IAsyncDisposable, IDisposable
{
    /// <summary>How many bytes at the end are held back until the content is known to be right.</summary>
    public const int TailLength = 4096;

    // Each reader that is woken costs two system calls and more, whatever there is to read. Where bytes come in dribs they are woken for so many of
    // them, or so long after the first.
    private const int WorthWaking = 256 * 1024;
    private static readonly TimeSpan MaxNap = TimeSpan.FromMilliseconds(10);

    // How much room is set aside ahead of the writer: whatever length an upstream claims, no more of the disk is taken than that.
    private const int ReservedAhead = 16 << 20;

    private readonly SafeFileHandle _file;
    private readonly string _algorithm;
    private readonly TrailingHash _hash;
    private readonly Lock _gate = new();
    private readonly Timer _alarm;
    private string _path;
    private long _length;
    private long _reserved;
    private long? _expectedLength;
    private bool _complete;
    private bool _moved;
    private Exception? _failure;
    private TaskCompletionSource _progress = NewSignal();
    private long _wokenAt;
    private long _wokenFor;
    private bool _alarmed;
    private readonly TaskCompletionSource _givenUp = NewSignal();

    private Spool(string path, string algorithm, SafeFileHandle file)
    {
        _path = path;
        _algorithm = algorithm;
        _file = file;
        _hash = new TrailingHash(file, algorithm);
        _alarm = new Timer(static spool => ((Spool)spool!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How many bytes were appended so far, by this process or one before it.</summary>
    public long Length => Volatile.Read(ref _length);

    /// <summary>How long the content will be in bytes, once known; set before readers are let in.</summary>
    public long? ExpectedLength
    {
        get { lock (_gate) return _expectedLength; }
        set { lock (_gate) _expectedLength = value; }
    }

    /// <summary>
    /// Opens a spool file for appending. Bytes left by an earlier process are kept, so that the writer can go on behind them; they are hashed
    /// once more bytes come or the whole is verified, so opening costs the same whatever is there, and opening again and again never adds up.
    /// </summary>
    /// <param name="path">The file; made where it is missing. Its folder must exist.</param>
    /// <param name="algorithm">The hash kept while appending: <c>sha256</c> or <c>sha512</c>.</param>
    /// <exception cref="IOException">The file cannot be made or read, or another process writes it.</exception>
    public static Spool Open(string path, string algorithm)
    {
        var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        return new Spool(path, algorithm, file) { _length = RandomAccess.GetLength(file) };
    }

    /// <summary>
    /// As <see cref="Open"/>, or <see cref="OpenAside"/> where another process is at it too: whichever is first publishes it.
    /// </summary>
    /// <exception cref="IOException">The file cannot be made or read.</exception>
    public static Spool OpenOrAside(string path, string algorithm)
    {
        try
        {
            return Open(path, algorithm);
        }
        catch (IOException taken) when (taken.IsHeldByAnother)
        {
            return OpenAside(path, algorithm);
        }
    }

    /// <summary>Opens an empty spool beside one that another process writes, or is to write.</summary>
    /// <param name="path">The other one's file; its folder must exist.</param>
    /// <exception cref="IOException">The file cannot be made.</exception>
    public static Spool OpenAside(string path, string algorithm) => Open($"{path}.{Path.GetRandomFileName()}", algorithm);

    /// <summary>Appends bytes and wakes the readers.</summary>
    /// <exception cref="IOException">The disk did not take them; the spool still ends where it ended before.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return;
        Reserve(_length + bytes.Length);
        try
        {
            RandomAccess.Write(_file, bytes, _length);
        }
        catch (IOException)
        {
            // A part may have fitted; whoever opens the file next must find the end that this one reports.
            RandomAccess.SetLength(_file, _length);
            throw;
        }
        Volatile.Write(ref _length, _length + bytes.Length);
        _hash.Follow(_length);
        WakeIfWorthIt();
    }

    /// <summary>
    /// Whether the bytes so far are what <paramref name="digest"/> names. For a digest of another algorithm everything is read again.
    /// </summary>
    /// <exception cref="IOException">The disk does not give back what it took.</exception>
    public async ValueTask<bool> VerifyAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (digest.Algorithm == _algorithm)
            return await IsAsync(digest, _hash, cancellationToken);
        using var other = new TrailingHash(_file, digest.Algorithm);
        return await IsAsync(digest, other, cancellationToken);
    }

    /// <summary>Throws away every byte, so that the writer can begin anew. Only before readers are let in.</summary>
    public void Reset()
    {
        if (_length == 0)
            return;
        RandomAccess.SetLength(_file, 0);
        _hash.Reset();
        _reserved = 0;
        Volatile.Write(ref _length, 0);
    }

    /// <summary>Completes when more bytes, or an end, have come since it was asked for. For a store that takes the bytes while they come.</summary>
    internal Task Growth => Volatile.Read(ref _progress).Task;

    /// <summary>Whether <see cref="Complete"/> was called: there is no more growth.</summary>
    internal bool IsComplete { get { lock (_gate) return _complete; } }

    /// <summary>Completes when nothing will become of the spool any more: it failed, or was closed.</summary>
    internal Task GivenUp => _givenUp.Task;

    /// <summary>Bytes that were appended, verified or not, as a stream.</summary>
    internal Stream OpenSlice(long from, long length) => new FileSlice(_file, from, length);

    /// <summary>The content is whole and verified: readers get the tail and an end.</summary>
    public void Complete() => End(() => _complete = true);

    /// <summary>The content will not become whole: readers that reach what is missing get <paramref name="failure"/>.</summary>
    public void Fail(Exception failure)
    {
        End(() => _failure = failure);
        _givenUp.TrySetResult();
    }

    /// <summary>Flushes the file and gives it its final name, or drops it where that is there already; readers go on reading.</summary>
    /// <exception cref="IOException">The disk refused; the spool keeps its name.</exception>
    public void MoveTo(string path)
    {
        RandomAccess.FlushToDisk(_file);
        // From here on others open it too, while readers still follow this one.
        Durable.Unlock(_file);
        SweepableFile.Publish(_path, path);
        (_path, _moved) = (path, true);
    }

    /// <summary>Removes the file's name; readers go on reading what they hold open.</summary>
    public void Delete()
    {
        if (!_moved)
            File.Delete(_path);
        // The name may be another spool's by the next call.
        _moved = true;
    }

    /// <summary>A reader of this spool from any offset, until the spool is disposed.</summary>
    public Content OpenRead() => new Reader(this);

    /// <summary>Closes the file. What was not moved to a final name or deleted stays, to be opened again.</summary>
    public void Dispose()
    {
        _givenUp.TrySetResult();
        _alarm.Dispose();
        _hash.Dispose();
        GiveRoomBack();
        _file.Dispose();
    }

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            // The signal first: what is appended after this line completes it.
            var progress = Volatile.Read(ref _progress).Task;
            var (readable, atEnd, failure) = Readable();
            if (offset < readable)
                return RandomAccess.Read(_file, buffer.Span[..(int)Math.Min(buffer.Length, readable - offset)], offset);
            if (failure is not null)
                throw new IOException(failure.Message, failure);
            if (atEnd)
                return 0;
            await progress.WaitAsync(cancellationToken);
        }
    }

    private (long Readable, bool AtEnd, Exception? Failure) Readable()
    {
        lock (_gate)
        {
            var length = Length;
            // Without a known length any byte may be among the last, so the tail moves along with the writer.
            return _complete ? (length, true, null) : (Math.Min(length, (_expectedLength ?? length) - TailLength), false, _failure);
        }
    }

    private void Reserve(long end)
    {
        if (_reserved >= end || ExpectedLength is not { } expected)
            return;
        var reserved = Math.Min(expected, _length + ReservedAhead);
        // Where it cannot be done once it is not tried again.
        if (reserved > end)
            _reserved = Durable.Reserve(_file, _length, reserved - _length) ? reserved : long.MaxValue;
    }

    // What stays to be gone on with stays for days.
    private void GiveRoomBack()
    {
        if (_moved || _file.IsClosed || _reserved == long.MaxValue || _reserved <= _length)
            return;
        try
        {
            // As long as before: what is behind the end is freed.
            RandomAccess.SetLength(_file, _length);
        }
        catch (IOException)
        {
            // It is freed with the file.
        }
    }

    private void WakeIfWorthIt()
    {
        if (_length - Volatile.Read(ref _wokenFor) >= WorthWaking || Stopwatch.GetElapsedTime(Volatile.Read(ref _wokenAt)) >= MaxNap)
            Wake();
        else if (!Interlocked.Exchange(ref _alarmed, true))
            _alarm.Change(MaxNap, Timeout.InfiniteTimeSpan);
    }

    private void Wake()
    {
        Volatile.Write(ref _alarmed, false);
        Volatile.Write(ref _wokenAt, Stopwatch.GetTimestamp());
        Volatile.Write(ref _wokenFor, Length);
        Interlocked.Exchange(ref _progress, NewSignal()).TrySetResult();
    }

    private void End(Action set)
    {
        lock (_gate)
            set();
        Volatile.Read(ref _progress).TrySetResult();
    }

    private async ValueTask<bool> IsAsync(Digest digest, TrailingHash hash, CancellationToken cancellationToken) =>
        Digest.FromHash(digest.Algorithm, await hash.FinishAsync(Length, cancellationToken)) == digest;

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed class Reader(Spool spool) : Content
    {
        public override long? Length => spool.ExpectedLength;

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            spool.ReadAsync(offset, buffer, cancellationToken);
    }
}
