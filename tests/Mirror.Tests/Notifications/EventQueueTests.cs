using System.Globalization;
using System.Text;
using Mirror.Notifications;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Notifications;

public sealed class EventQueueTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_full_queue_drops_the_oldest_events_and_returns_how_many()
    {
        using var queue = EventQueue.Open(_folder.Path, maxSegmentBytes: 50, maxSegments: 3);
        var dropped = Enumerable.Range(0, 100).Sum(i => queue.Append(Encoding.UTF8.GetBytes($"{i:D9}")));
        Assert.Equal(100 - dropped, queue.Pending);
        Assert.InRange(queue.Pending, 10, 15);
        Assert.Equal(3, Directory.GetFiles(_folder.Path, "*.events", SearchOption.AllDirectories).Length);
        Assert.Equal(Enumerable.Range(dropped, queue.Pending), await DrainAsync(queue));
    }

    [Fact]
    public async Task Delivered_events_do_not_come_back_and_their_files_are_deleted()
    {
        using (var queue = EventQueue.Open(_folder.Path, maxSegmentBytes: 50))
        {
            for (var i = 0; i < 30; i++)
                queue.Append(Encoding.UTF8.GetBytes($"{i:D9}"));
            for (var batches = 0; batches < 2; batches++)
                queue.Delivered(await queue.NextAsync(Cancel));
        }
        using var again = EventQueue.Open(_folder.Path, maxSegmentBytes: 50);
        Assert.Equal(20, again.Pending);
        Assert.Equal(Enumerable.Range(10, 20), await DrainAsync(again));
        Assert.Single(Directory.GetFiles(_folder.Path, "*.events", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task An_incomplete_last_line_is_ignored()
    {
        using (var queue = EventQueue.Open(_folder.Path))
            queue.Append("000000001"u8);
        var file = Assert.Single(Directory.GetFiles(_folder.Path, "*.events", SearchOption.AllDirectories));
        await File.AppendAllTextAsync(file, "0000", Cancel);
        using var again = EventQueue.Open(_folder.Path);
        again.Append("000000002"u8);
        Assert.Equal([1, 2], await DrainAsync(again));
    }

    [Fact]
    public async Task A_file_of_any_length_without_lines_is_set_aside_and_takes_no_memory()
    {
        using (var queue = EventQueue.Open(_folder.Path))
            queue.Append("000000001"u8);
        var file = Assert.Single(Directory.GetFiles(_folder.Path, "*.events", SearchOption.AllDirectories));
        var damaged = Path.Combine(Path.GetDirectoryName(file)!, "00000000000000000002.events");
        using (var sparse = File.OpenHandle(damaged, FileMode.CreateNew, FileAccess.Write))
            RandomAccess.SetLength(sparse, 64L << 30);
        var before = GC.GetAllocatedBytesForCurrentThread();
        using var again = EventQueue.Open(_folder.Path);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        again.Append("000000003"u8);
        Assert.Equal([1, 3], await DrainAsync(again));
        Assert.False(File.Exists(damaged));
        File.Delete(damaged + ".damaged");
    }

    [Fact]
    public async Task A_line_a_little_longer_than_any_event_sets_its_file_aside_too()
    {
        using (var queue = EventQueue.Open(_folder.Path))
            queue.Append("000000001"u8);
        var file = Assert.Single(Directory.GetFiles(_folder.Path, "*.events", SearchOption.AllDirectories));
        await File.WriteAllTextAsync(file, $"{new string('0', 4 << 20)}\n000000002\n", Cancel);
        using var again = EventQueue.Open(_folder.Path);
        again.Append("000000003"u8);
        Assert.Equal("000000003"u8.ToArray(), Assert.Single((await again.NextAsync(Cancel)).Events).ToArray());
        Assert.True(File.Exists(file + ".damaged"));
    }

    [Fact]
    public async Task What_was_delivered_of_a_file_that_is_gone_says_nothing_of_the_events_after_it()
    {
        using (var queue = EventQueue.Open(_folder.Path, maxSegmentBytes: 1))
            for (var i = 0; i < 2; i++)
            {
                queue.Append("000000001"u8);
                queue.Delivered(await queue.NextAsync(Cancel));
            }
        File.Delete(Assert.Single(Directory.GetFiles(_folder.Path, "*.events", SearchOption.AllDirectories)));
        using (var queue = EventQueue.Open(_folder.Path))
            queue.Append("000000002"u8);
        using var again = EventQueue.Open(_folder.Path);
        Assert.Equal([2], await DrainAsync(again));
    }

    [Fact]
    public async Task After_a_damaged_record_events_come_twice_rather_than_never()
    {
        using (var queue = EventQueue.Open(_folder.Path))
        {
            queue.Append("000000001"u8);
            queue.Delivered(await queue.NextAsync(Cancel));
            queue.Append("000000002"u8);
        }
        var record = Assert.Single(Directory.GetFiles(_folder.Path, "delivered", SearchOption.AllDirectories));
        await File.WriteAllTextAsync(record, "?", Cancel);
        using var again = EventQueue.Open(_folder.Path);
        Assert.Equal([1, 2], await DrainAsync(again));
    }

    [Fact]
    public void Each_process_has_its_own_queue()
    {
        using var one = EventQueue.Open(_folder.Path);
        using var other = EventQueue.Open(_folder.Path);
        one.Append("1"u8);
        Assert.Equal((1, 0), (one.Pending, other.Pending));
    }

    [Fact]
    public async Task An_event_larger_than_a_batch_is_sent_by_itself()
    {
        using var queue = EventQueue.Open(_folder.Path);
        queue.Append(new byte[1 << 20].AsSpan().ToArray().Select(_ => (byte)'1').ToArray());
        queue.Append("2"u8);
        Assert.Equal(1 << 20, Assert.Single((await queue.NextAsync(Cancel)).Events).Length);
    }

    private static async Task<List<int>> DrainAsync(EventQueue queue)
    {
        List<int> events = [];
        while (queue.Pending > 0)
        {
            var batch = await queue.NextAsync(Cancel);
            events.AddRange(batch.Events.Select(json => int.Parse(json.Span, CultureInfo.InvariantCulture)));
            queue.Delivered(batch);
        }
        return events;
    }
}
