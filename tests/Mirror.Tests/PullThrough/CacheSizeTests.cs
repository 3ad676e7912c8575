using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>How downloads wait for room in a full cache. The clock stands still: only what happens ends a wait.</summary>
public sealed class CacheSizeTests
{
    private const int Limit = 10 << 20;

    [Fact]
    public async Task Clients_get_their_last_bytes_as_soon_as_fewer_downloads_wait_for_room()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var options = new MirrorOptions { Proxy = { MaxSize = Limit } };
        var keys = new RedisKeys(new(options.Http), new FleetIdentity(options, NullLogger<FleetIdentity>.Instance));
        var time = new FakeTimeProvider();
        var cache = new CacheSize(
            options.Proxy, options.Storage, new CachePolicies(new LiveOptions(options)), null!,
            new StoreMetrics(new MirrorMeter(services.GetRequiredService<IMeterFactory>())), time,
            new CacheUsage(keys, time), NullLogger<CacheSize>.Instance);

        // Before the first measurement the cache counts as full.
        using var leaves = new CancellationTokenSource();
        var waiting = cache.ReserveAsync(Digest.Of([1]), Limit / 5, leaves.Token).AsTask();
        var others = cache.ReserveAsync(Digest.Of([2]), Limit / 20, cancel).AsTask();
        var paced = cache.PaceAsync(cancel).AsTask();
        Assert.False(waiting.IsCompleted || others.IsCompleted || paced.IsCompleted);

        // Its fill is cancelled. Nothing is evicted.
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await paced.WaitAsync(cancel);
        Assert.False(others.IsCompleted);

        cache.Evicted(Limit / 20);
        Assert.True(await others.WaitAsync(cancel));
    }
}
