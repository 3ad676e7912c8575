namespace Mirror.Telemetry;

/// <summary>
/// Lines on their way to stdout or stderr. Writers copy a line into one buffer while a thread of this sink writes the other
/// out, so that a burst costs one system call, lines never mix, and a reader that stands still cannot hold up a pull: when
/// the buffer is full, a writer waits for at most <c>patience</c>, and lines that still find no room are dropped and counted.
/// </summary>
internal sealed class LineSink : IDisposable
{
    private const int Capacity = 1024 * 1024;

    // Lines that come together go out together. Short enough that nobody who follows a log sees it.
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(5);

    // Not a Lock: both sides wait on it.
    private readonly object _gate = new();
    private readonly Stream _stream;
    private readonly TimeSpan _patience;
    private readonly Action<long>? _dropped;
    private readonly Thread _thread;
    private byte[] _filling = new byte[16 * 1024];
    private byte[] _leaving = new byte[16 * 1024];
    private int _filled;
    private long _lost;
    private bool _idle;
    private bool _stuck;
    private bool _closing;
    private bool _closed;

    /// <param name="stream">Not closed by the sink.</param>
    /// <param name="patience">How long a full buffer may hold up a writer; not at all when zero.</param>
    /// <param name="dropped">Told, from the sink's thread, how many lines were lost before the ones just written.</param>
    public LineSink(string name, Stream stream, TimeSpan patience, Action<long>? dropped = null)
    {
        _stream = stream;
        _patience = patience;
        _dropped = dropped;
        _thread = new Thread(Run, 256 * 1024) { IsBackground = true, Name = name };
        _thread.Start();
        AppDomain.CurrentDomain.ProcessExit += Close;
        AppDomain.CurrentDomain.UnhandledException += Close;
    }

    /// <summary>Takes one line, or several whole ones, with their ends.</summary>
    public void Write(ReadOnlySpan<byte> line)
    {
        lock (_gate)
        {
            if (_closed)
            {
                // What is said after the end, by whoever outlives the log, is written at once.
                TryWrite(line);
                return;
            }
            if (_filled + line.Length > Capacity && !WaitForRoom(line.Length))
            {
                _lost++;
                return;
            }
            if (_filled + line.Length > _filling.Length)
                Array.Resize(ref _filling, Math.Min(Capacity, Math.Max(_filling.Length * 2, _filled + line.Length)));
            line.CopyTo(_filling.AsSpan(_filled));
            _filled += line.Length;
            if (_idle || _filled > Capacity / 2)
                Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Writes out what was taken, and waits for it, but not for ever.</summary>
    public void Dispose()
    {
        AppDomain.CurrentDomain.ProcessExit -= Close;
        AppDomain.CurrentDomain.UnhandledException -= Close;
        Close(null, EventArgs.Empty);
    }

    private void Close(object? sender, EventArgs e)
    {
        lock (_gate)
        {
            _closing = true;
            Monitor.PulseAll(_gate);
        }
        _thread.Join(Farewell);
    }

    private bool WaitForRoom(int length)
    {
        // The sink's own thread must not wait for itself.
        if (length > Capacity || _stuck || _patience == TimeSpan.Zero || Thread.CurrentThread == _thread)
            return false;
        while (_filled + length > Capacity && !_closed)
        {
            if (!Monitor.Wait(_gate, _patience))
            {
                // Waited for once; until the reader moves again nobody waits any more.
                _stuck = true;
                return false;
            }
        }
        return true;
    }

    private void Run()
    {
        while (TakeBatch(out var length, out var lost))
        {
            if (!TryWrite(_leaving.AsSpan(0, length)))
                continue;
            if (lost > 0)
                _dropped?.Invoke(lost);
        }
    }

    private bool TakeBatch(out int length, out long lost)
    {
        lock (_gate)
        {
            _idle = true;
            while (_filled == 0 && !_closing)
                Monitor.Wait(_gate);
            _idle = false;
            if (!_closing && _filled <= Capacity / 2)
                Monitor.Wait(_gate, Linger);
            length = _filled;
            lost = _lost;
            if (length == 0)
            {
                _closed = true;
                return false;
            }
            (_filling, _leaving) = (_leaving, _filling);
            _filled = 0;
            _lost = 0;
            _stuck = false;
            Monitor.PulseAll(_gate);
            return true;
        }
    }

    // A full disk or a reader that went away ends no pull; there is nobody left to tell.
    private bool TryWrite(ReadOnlySpan<byte> lines)
    {
        try
        {
            _stream.Write(lines);
            _stream.Flush();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
