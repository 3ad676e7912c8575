using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Mirror.Storage;
using Mirror.Storage.Disk;

namespace Mirror.Notifications;

/// <summary>
/// The events that wait for one endpoint, in their order. They are in files, so that none is lost when the process ends:
/// <code>
/// &lt;folder&gt;/lock                          locked by the process that owns the queue
/// &lt;folder&gt;/00000000000000000007.events   one event on each line; the oldest file is sent first, new events go to the newest file
/// &lt;folder&gt;/delivered                     the delivered part of the oldest file: its number and an offset
/// </code>
/// If the process ends between a delivery and its record, the event is delivered twice. A full queue deletes its oldest file: to a receiver
/// that did not answer for a long time, recent events are worth more.
/// </summary>
internal sealed class EventQueue : IDisposable
{
    private const int MaxBatchEvents = 64;
    private const int MaxBatchBytes = 256 * 1024;
    // Every event is shorter than this, because the texts from a request in it have limits. So a longer line comes from a damaged file.
    private const int MaxEventBytes = 4 << 20;

    private readonly string _folder;
    private readonly long _maxSegmentBytes;
    private readonly int _maxSegments;
    private readonly SafeFileHandle _lock;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _added = new(0, 1);
    // Oldest first. The last one is open for appending.
    private readonly LinkedList<Segment> _segments = new();
    private SafeFileHandle? _tail;
    private long _offset;
    // A flush of the newest file has failed: see DiskFlush.
    private bool _isUnsafe;

    private EventQueue(string folder, SafeFileHandle held, long maxSegmentBytes, int maxSegments)
    {
        (_folder, _lock, _maxSegmentBytes, _maxSegments) = (folder, held, maxSegmentBytes, maxSegments);
        Recover();
    }

    /// <summary>How many events are not delivered yet.</summary>
    public int Pending { get { lock (_gate) return _segments.Sum(segment => segment.Events); } }

    /// <summary>Opens the queue of an endpoint, with the events that an earlier process left in it.</summary>
    /// <param name="folder">The endpoint's folder. Each process that shares the storage gets a folder of its own below it.</param>
    /// <param name="maxSegmentBytes">A file that has reached this size gets no further events.</param>
    /// <param name="maxSegments">How many files there are at most.</param>
    /// <exception cref="IOException">The folder cannot be written, or 100 processes use it.</exception>
    public static EventQueue Open(string folder, long maxSegmentBytes = 1 << 20, int maxSegments = 64)
    {
        for (var slot = 0; ; slot++)
        {
            var own = Path.Combine(folder, slot.ToString(CultureInfo.InvariantCulture));
            Durable.CreateFolder(Path.GetFullPath(own));
            try
            {
                var held = File.OpenHandle(Path.Combine(own, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                return new EventQueue(own, held, maxSegmentBytes, maxSegments);
            }
            catch (IOException taken) when (taken.IsHeldByAnother && slot < 100)
            {
                // Another process owns this folder. Try the next one.
            }
        }
    }

    /// <summary>
    /// Adds an event; returns how many events were dropped: old events to make room, or this one if it has 4 MiB or more.
    /// </summary>
    /// <exception cref="IOException">The event could not be written.</exception>
    public int Append(ReadOnlySpan<byte> json)
    {
        if (json.Length >= MaxEventBytes)
            return 1;
        var line = new byte[json.Length + 1];
        json.CopyTo(line);
        line[^1] = (byte)'\n';
        var dropped = 0;
        lock (_gate)
        {
            if (_tail is null || _isUnsafe || _segments.Last!.Value.Length >= _maxSegmentBytes)
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

    /// <summary>Flushes the newest file. After this call, all events that were added before it survive a power cut.</summary>
    /// <exception cref="IOException">The disk did not flush. The next events are written to a new file.</exception>
    public void Flush()
    {
        SafeFileHandle? tail;
        lock (_gate)
            tail = _tail;
        try
        {
            if (tail is not null)
                DiskFlush.OfFile(tail);
        }
        catch (ObjectDisposedException)
        {
            // Rotate has flushed and closed the file.
        }
        catch (IOException)
        {
            lock (_gate)
                _isUnsafe |= _tail == tail;
            throw;
        }
    }

    /// <summary>Waits for events, and returns the oldest: at least one, at most 64.</summary>
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

    /// <summary>Records that a batch was delivered.</summary>
    public void Delivered(EventBatch batch)
    {
        lock (_gate)
        {
            // A full queue may have deleted the file meanwhile.
            if (_segments.First is not { } head || head.Value.Number != batch.Segment)
                return;
            head.Value.Events -= batch.Events.Count;
            _offset = batch.End;
            if (head.Value.Events == 0 && head != _segments.Last)
                RemoveHead();
            var record = Path.Combine(_folder, "delivered");
            File.WriteAllText(record + ".new", string.Create(CultureInfo.InvariantCulture, $"{_segments.First!.Value.Number} {_offset}"));
            File.Move(record + ".new", record, overwrite: true);
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
        var bytes = new byte[Math.Min(MaxBatchBytes, segment.Length - _offset)];
        var read = bytes.AsMemory(0, RandomAccess.Read(file, bytes, _offset));
        // An event larger than a batch is sent alone.
        if (!read.Span.Contains((byte)'\n'))
        {
            bytes = new byte[Math.Min(MaxEventBytes, segment.Length - _offset)];
            read = bytes.AsMemory(0, RandomAccess.Read(file, bytes, _offset));
        }
        List<ReadOnlyMemory<byte>> events = [];
        var start = 0;
        while (events.Count < MaxBatchEvents && read.Span[start..].IndexOf((byte)'\n') is >= 0 and var length)
        {
            events.Add(read.Slice(start, length));
            start += length + 1;
        }
        return new EventBatch(segment.Number, _offset + start, events);
    }

    private int Rotate()
    {
        var dropped = 0;
        if (_segments.Count >= _maxSegments)
        {
            dropped = _segments.First!.Value.Events;
            RemoveHead();
        }
        var number = (_segments.Last?.Value.Number ?? 0) + 1;
        var isFlushed = _tail is null || _isUnsafe;
        // Only once: a second flush of the same file would succeed even if bytes were lost.
        _isUnsafe = true;
        if (!isFlushed)
            DiskFlush.OfFile(_tail!);
        var segment = new Segment(number, Path.Combine(_folder, $"{number:D20}.events"));
        var file = File.OpenHandle(segment.Path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            DiskFlush.OfFolder(_folder);
        }
        catch
        {
            file.Dispose();
            File.Delete(segment.Path);
            throw;
        }
        _tail?.Dispose();
        (_tail, _isUnsafe) = (file, false);
        _segments.AddLast(segment);
        return dropped;
    }

    private void RemoveHead()
    {
        File.Delete(_segments.First!.Value.Path);
        _segments.RemoveFirst();
        _offset = 0;
    }

    // The events from the recorded offset on are not delivered. If the record cannot be read, the queue sends all events again: to deliver
    // an event twice is better than to lose it.
    private void Recover()
    {
        var record = Path.Combine(_folder, "delivered");
        var (head, offset) = (0L, 0L);
        if (File.Exists(record) && File.ReadAllText(record).Split(' ') is [var number, var place]
            && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var recorded)
            && long.TryParse(place, NumberStyles.None, CultureInfo.InvariantCulture, out var at))
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
            var (length, events) = Count(path, named == head ? offset : 0);
            if (events < 0)
            {
                File.Move(path, path + ".damaged", overwrite: true);
                continue;
            }
            if (_segments.Count == 0)
                _offset = named == head && offset <= length ? offset : 0;
            _segments.AddLast(new Segment(named, path) { Length = length, Events = events });
        }
        if (_segments.Last?.Value is { } last)
            _tail = File.OpenHandle(last.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        // The next file has the number 1. With a record of a later file, it would be taken for delivered after a restart.
        else
            File.Delete(record);
    }

    // The length up to the last complete line (the process may have ended while it wrote one), and how many lines follow the offset, or all
    // if the offset is beyond the length; -1 where a line is longer than any event: Peek would find no end of it, and return no events.
    private static (long Length, int Events) Count(string path, long offset)
    {
        using var file = File.OpenHandle(path);
        var buffer = new byte[64 * 1024];
        var (length, all, after) = (0L, 0, 0);
        for (var at = 0L; RandomAccess.Read(file, buffer, at) is > 0 and var read; at += read)
        {
            for (var start = 0; buffer.AsSpan(start, read - start).IndexOf((byte)'\n') is >= 0 and var line; start += line + 1)
            {
                var end = at + start + line + 1;
                if (end - length > MaxEventBytes)
                    return (length, -1);
                length = end;
                all++;
                if (length > offset)
                    after++;
            }
            if (at + read - length > MaxEventBytes)
                return (length, -1);
        }
        return (length, offset <= length ? after : all);
    }

    private sealed class Segment(long number, string path)
    {
        public long Number => number;

        public string Path => path;

        public long Length { get; set; }

        /// <summary>How many events of this file are not delivered yet.</summary>
        public int Events { get; set; }
    }
}

/// <summary>Events that are sent in one request.</summary>
/// <param name="Segment">The number of their file.</param>
/// <param name="End">The offset after the last one.</param>
/// <param name="Events">Each as JSON.</param>
internal sealed record EventBatch(long Segment, long End, IReadOnlyList<ReadOnlyMemory<byte>> Events)
{
    /// <summary>The body of the request: <c>{"events":[...]}</c>.</summary>
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
