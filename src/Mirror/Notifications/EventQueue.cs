using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Mirror.Notifications;

/// <summary>
/// Events on their way to one endpoint, in order, in files, so that the end of the process loses none:
/// <code>
/// &lt;folder&gt;/lock                          held by the process whose queue this is
/// &lt;folder&gt;/00000000000000000007.events   one event a line; the oldest file is sent first, the newest is appended to
/// &lt;folder&gt;/delivered                     how far the oldest file was delivered: its number and an offset
/// </code>
/// An event may be delivered twice where the process ends between a delivery and its record. When the queue is full its oldest file goes: what
/// happened lately is worth more to a receiver that was away for so long.
/// </summary>
internal sealed class EventQueue : IDisposable
{
    private const int MaxBatch = 64;
    private const int BatchBytes = 256 * 1024;

    private readonly string _folder;
    private readonly long _segmentBytes;
    private readonly int _mostSegments;
    private readonly SafeFileHandle _lock;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _added = new(0, 1);
    // Oldest first; the last one is open for appending.
    private readonly LinkedList<Segment> _segments = new();
    private SafeFileHandle? _tail;
    private long _offset;

    private EventQueue(string folder, SafeFileHandle held, long segmentBytes, int mostSegments)
    {
        (_folder, _lock, _segmentBytes, _mostSegments) = (folder, held, segmentBytes, mostSegments);
        Recover();
    }

    /// <summary>How many events wait.</summary>
    public int Pending
    {
        get { lock (_gate) return _segments.Sum(segment => segment.Events); }
    }

    /// <summary>Opens the queue of an endpoint, with what an earlier process left in it.</summary>
    /// <param name="folder">The endpoint's folder. Processes that share a storage get one below it each.</param>
    public static EventQueue Open(string folder, long segmentBytes = 1 << 20, int mostSegments = 64)
    {
        for (var slot = 0; ; slot++)
        {
            var own = Path.Combine(folder, slot.ToString(CultureInfo.InvariantCulture));
            Directory.CreateDirectory(own);
            try
            {
                return new EventQueue(own, File.OpenHandle(Path.Combine(own, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None), segmentBytes, mostSegments);
            }
            catch (IOException taken) when (taken is not (DirectoryNotFoundException or FileNotFoundException) && slot < 100)
            {
                // Another process sends those.
            }
        }
    }

    /// <summary>Adds an event; returns how many old ones had to go for it.</summary>
    /// <exception cref="IOException">The disk did not take it.</exception>
    public int Append(ReadOnlySpan<byte> json)
    {
        var line = new byte[json.Length + 1];
        json.CopyTo(line);
        line[^1] = (byte)'\n';
        var dropped = 0;
        lock (_gate)
        {
            if (_tail is null || _segments.Last!.Value.Length >= _segmentBytes)
                dropped = Rotate();
            var segment = _segments.Last!.Value;
            RandomAccess.Write(_tail!, line, segment.Length);
            segment.Length += line.Length;
            segment.Events++;
            if (_added.CurrentCount == 0)
                _added.Release();
        }
        return dropped;
    }

    /// <summary>The oldest events, one at least, waiting until there are any.</summary>
    public async Task<EventBatch> NextAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_gate)
            {
                if (Peek() is { } batch)
                    return batch;
            }
            await _added.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Records that a batch was delivered; returns how many events wait less for it.</summary>
    public int Delivered(EventBatch batch)
    {
        lock (_gate)
        {
            // It may have been dropped meanwhile.
            if (_segments.First is not { } head || head.Value.Number != batch.Segment)
                return 0;
            head.Value.Events -= batch.Events.Count;
            _offset = batch.End;
            if (head.Value.Events == 0 && head != _segments.Last)
                RemoveHead();
            var record = Path.Combine(_folder, "delivered");
            File.WriteAllText(record + ".new", string.Create(CultureInfo.InvariantCulture, $"{_segments.First!.Value.Number} {_offset}"));
            File.Move(record + ".new", record, overwrite: true);
            return batch.Events.Count;
        }
    }

    public void Dispose()
    {
        _tail?.Dispose();
        _lock.Dispose();
        _added.Dispose();
    }

    private EventBatch? Peek()
    {
        while (_segments.First is { } head && head.Value.Events == 0 && head != _segments.Last)
            RemoveHead();
        if (_segments.First?.Value is not { Events: > 0 } segment)
            return null;
        using var file = File.OpenHandle(segment.Path, share: FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[Math.Min(BatchBytes, segment.Length - _offset)];
        var read = bytes.AsMemory(0, RandomAccess.Read(file, bytes, _offset));
        // One event that is larger than a batch is read by itself.
        if (!read.Span.Contains((byte)'\n'))
        {
            bytes = new byte[segment.Length - _offset];
            read = bytes.AsMemory(0, RandomAccess.Read(file, bytes, _offset));
        }
        List<ReadOnlyMemory<byte>> events = [];
        var start = 0;
        while (events.Count < MaxBatch && read.Span[start..].IndexOf((byte)'\n') is >= 0 and var length)
        {
            events.Add(read.Slice(start, length));
            start += length + 1;
        }
        return new EventBatch(segment.Number, _offset + start, events);
    }

    private int Rotate()
    {
        var dropped = 0;
        if (_segments.Count >= _mostSegments)
        {
            dropped = _segments.First!.Value.Events;
            RemoveHead();
        }
        var number = (_segments.Last?.Value.Number ?? 0) + 1;
        _tail?.Dispose();
        _segments.AddLast(Start(number, 0, 0));
        return dropped;
    }

    private Segment Start(long number, long length, int events)
    {
        var segment = new Segment(number, Path.Combine(_folder, $"{number:D20}.events")) { Length = length, Events = events };
        _tail = File.OpenHandle(segment.Path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        return segment;
    }

    private void RemoveHead()
    {
        File.Delete(_segments.First!.Value.Path);
        _segments.RemoveFirst();
        _offset = 0;
    }

    // What is in the files is what was not delivered, from the recorded place on. A record that cannot be read means from the start: rather twice.
    private void Recover()
    {
        var record = Path.Combine(_folder, "delivered");
        var (head, offset) = (0L, 0L);
        if (File.Exists(record) && File.ReadAllText(record).Split(' ') is [var number, var place]
            && long.TryParse(number, CultureInfo.InvariantCulture, out var recorded) && long.TryParse(place, CultureInfo.InvariantCulture, out var at))
            (head, offset) = (recorded, at);

        foreach (var path in Directory.EnumerateFiles(_folder, "*.events").Order(StringComparer.Ordinal).ToList())
        {
            if (!long.TryParse(Path.GetFileNameWithoutExtension(path), NumberStyles.None, CultureInfo.InvariantCulture, out var named))
                continue;
            if (named < head)
            {
                File.Delete(path);
                continue;
            }
            var bytes = File.ReadAllBytes(path);
            // The end of the process may have cut the last line short.
            var length = bytes.AsSpan().LastIndexOf((byte)'\n') + 1;
            var from = named == head && offset <= length ? (int)offset : 0;
            if (_segments.Count == 0)
                _offset = from;
            _segments.AddLast(new Segment(named, path) { Length = length, Events = bytes.AsSpan(from, length - from).Count((byte)'\n') });
        }
        if (_segments.Last?.Value is { } last)
            _tail = File.OpenHandle(last.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
    }

    private sealed class Segment(long number, string path)
    {
        public long Number => number;

        public string Path => path;

        public long Length { get; set; }

        /// <summary>How many are not delivered yet.</summary>
        public int Events { get; set; }
    }
}

/// <summary>Events to deliver together.</summary>
/// <param name="Segment">The file they are in.</param>
/// <param name="End">The offset behind the last one.</param>
/// <param name="Events">Each as JSON.</param>
internal sealed record EventBatch(long Segment, long End, IReadOnlyList<ReadOnlyMemory<byte>> Events)
{
    /// <summary>The envelope that receivers know.</summary>
    public byte[] Envelope()
    {
        using var envelope = new MemoryStream();
        envelope.Write("{\"events\":["u8);
        foreach (var (i, json) in Events.Index())
        {
            if (i > 0)
                envelope.WriteByte((byte)',');
            envelope.Write(json.Span);
        }
        envelope.Write("]}"u8);
        return envelope.ToArray();
    }
}
