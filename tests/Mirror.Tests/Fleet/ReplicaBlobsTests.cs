using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;
using Xunit;

namespace Mirror.Tests.Fleet;

public sealed class ReplicaBlobsTests
{
    /// <summary>The moment between a timeout and the code that handles it lasts microseconds. Here it lasts as long as the test
    /// wants.</summary>
    [Fact]
    public async Task Bytes_that_come_at_the_moment_of_the_timeout_are_taken()
    {
        var time = new FakeTimeProvider();
        var leases = new FillLeases(
            null!, new FleetKeys(new HttpOptions { Secret = "s" }), null!, null!, null!, time, NullLogger<FillLeases>.Instance);
        var replicas = new ReplicaBlobs(new HttpOptions(), null!, leases, time);
        var (body, posts, before) = (new LateBody(), new Posts(), SynchronizationContext.Current);
        SynchronizationContext.SetSynchronizationContext(posts);
        Task<int> reading;
        try
        {
            reading = replicas.ReadAsync(
                new Uri("http://127.0.0.1:1"), Digest.Of([1]), body, new byte[10], TestContext.Current.CancellationToken).AsTask();
            // In another context the timeout does not run what waits for it: it hands that over.
            SynchronizationContext.SetSynchronizationContext(null);
            time.Advance(TimeSpan.FromSeconds(5));
            body.Bytes.SetResult(3);
            SynchronizationContext.SetSynchronizationContext(posts);
            posts.RunUntil(reading);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
        Assert.Equal(3, await reading);
    }

    // Keeps what is to run later, until the test runs it.
    private sealed class Posts : SynchronizationContext
    {
        private readonly BlockingCollection<(SendOrPostCallback Act, object? State)> _later = [];

        public override void Post(SendOrPostCallback d, object? state) => _later.Add((d, state));

        public void RunUntil(Task ended)
        {
            while (!ended.IsCompleted)
                if (_later.TryTake(out var next, 20, TestContext.Current.CancellationToken))
                    next.Act(next.State);
        }
    }

    private sealed class LateBody : MemoryStream
    {
        public TaskCompletionSource<int> Bytes { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Bytes.Task);
    }
}
