using System.Buffers;
using System.Text;

namespace Mirror.Telemetry;

/// <summary>
/// Writes lines to a stream from a thread of its own, many at a time. At most 1 MiB waits; lines that find no room are dropped and counted.
/// </summary>
internal sealed class LineWriter : IDisposable
{
    private const int MaxWaiting = 1024 * 1024;

    // Lines that come within this time go out together. A person who follows the log does not notice it.
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan MaxFlush = TimeSpan.FromSeconds(5);

    // Not a Lock: the thread waits on it.
    private readonly object _gate = new();
    private readonly Stream _stream;
    private readonly Action<long> _dropped;
    private readonly Thread _thread;
    private ArrayBufferWriter<byte> _waiting = new(16 * 1024);
    private ArrayBufferWriter<byte> _writing = new(16 * 1024);
    private long _lost;
    private bool _closed;

    /// <param name="stream">The writer does not close it.</param>
    /// <param name="dropped">Called from the writer's thread with the number of lines that were dropped since the last call.</param>
    public LineWriter(string name, Stream stream, Action<long> dropped)
    {
        (_stream, _dropped) = (stream, dropped);
        _thread = new Thread(Run, 256 * 1024) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>Takes one ASCII line, with its end. Never waits.</summary>
    public void Write(StringBuilder line)
    {
        lock (_gate)
        {
            if (!HasRoom(line.Length))
                return;
            foreach (var chunk in line.GetChunks())
                Encoding.ASCII.GetBytes(chunk.Span, _waiting);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Takes one line in UTF-8, with its end. Never waits.</summary>
    public void Write(ReadOnlySpan<byte> line)
    {
        lock (_gate)
        {
            if (!HasRoom(line.Length))
                return;
            _waiting.Write(line);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Writes what was taken, and waits for it for at most five seconds.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.Pulse(_gate);
        }
        _thread.Join(MaxFlush);
    }

    private bool HasRoom(int length)
    {
        var hasRoom = !_closed && _waiting.WrittenCount + length <= MaxWaiting;
        if (!hasRoom)
            _lost++;
        return hasRoom;
    }

    private void Run()
    {
        while (TakeLines(out var lost))
        {
            try
            {
                _stream.Write(_writing.WrittenSpan);
                _stream.Flush();
            }
            catch (IOException)
            {
                // A full disk, or a reader that closed the pipe, must not fail a pull.
            }
            _writing.ResetWrittenCount();
            if (lost > 0)
                _dropped(lost);
            Thread.Sleep(Linger);
        }
    }

    private bool TakeLines(out long lost)
    {
        lock (_gate)
        {
            while (_waiting.WrittenCount == 0 && _lost == 0 && !_closed)
                Monitor.Wait(_gate);
            (_waiting, _writing) = (_writing, _waiting);
            (lost, _lost) = (_lost, 0);
            return _writing.WrittenCount > 0 || lost > 0;
        }
    }
}
