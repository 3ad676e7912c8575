using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary><c>proxy.max_stale</c> while other replicas send messages, or none for a while.</summary>
public sealed class TagFreshnessTests
{
    private const string Tag = "1";
    private static readonly RepositoryName Name = RepositoryName.Parse("library/nginx");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_tag_that_may_have_changed_is_checked_again_and_is_as_old_as_it_was(bool messageCame)
    {
        var options = new MirrorOptions
        {
            Proxy = { TagsCacheTtl = TimeSpan.FromMinutes(5), MaxStale = TimeSpan.FromHours(1) },
        };
        var keys = new RedisKeys(new(options.Http), new FleetIdentity(options, NullLogger<FleetIdentity>.Instance));
        var time = new FakeTimeProvider();
        using var announcements = new Announcements(keys, time);
        using var freshness = new TagFreshness(
            new CachePolicies(new LiveOptions(options)), new FleetCache(new(options.Http), null!, keys, null!), announcements, time);

        // The process has run for long.
        time.Advance(TimeSpan.FromDays(1));
        Assert.False(freshness.MayBeServedStale(Name, Tag));
        await freshness.RecordCheckAsync(Name, Tag, new Descriptor("type", Digest.Of([1]), 1), moved: false);
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.NotNull(freshness.FindFresh(Name, Tag));

        if (messageCame)
            announcements.Hear($"another {Name} {Tag}");
        else
            announcements.HearSelf();
        Assert.Null(freshness.FindFresh(Name, Tag));
        Assert.Null(freshness.SinceCheck(Name, Tag));
        Assert.Equal(TimeSpan.FromMinutes(1), freshness.Age(Name, Tag));
        Assert.True(freshness.MayBeServedStale(Name, Tag));
        time.Advance(TimeSpan.FromHours(1));
        Assert.False(freshness.MayBeServedStale(Name, Tag));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_check_of_another_replica_does_not_count_if_a_message_comes_or_may_be_lost_while_Redis_answers(bool messageCame)
    {
        RedisProcess.Availability.OrSkip();
        await using var redis = await RedisProcess.StartAsync();
        var options = new MirrorOptions
        {
            Http = { Secret = "all the same" },
            // On a busy machine an answer may take longer than the default of 200 ms.
            Redis = { Addr = redis.Address, ReadTimeout = TimeSpan.FromSeconds(10) },
            Proxy = { TagsCacheTtl = TimeSpan.FromMinutes(5) },
        };
        await using var client = new RedisClient(options.Redis);
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meter = new MirrorMeter(services.GetRequiredService<IMeterFactory>());
        var (secrets, metrics, time) = (new FleetKeys(options.Http), new FleetMetrics(meter), new HookedTime());
        var keys = new RedisKeys(secrets, new FleetIdentity(options, NullLogger<FleetIdentity>.Instance));
        var guard = new RedisGuard(client, options.Redis, metrics, TimeProvider.System, NullLogger<RedisGuard>.Instance);
        var shared = new FleetCache(secrets, new SealedText(secrets.For("seals")), keys, metrics, guard);
        using var announcements = new Announcements(keys, time);
        TagFreshness Replica() => new(new CachePolicies(new LiveOptions(options)), shared, announcements, time);
        using var other = Replica();
        using var freshness = Replica();

        // Redis is connected to in the background, and has the check then.
        await Until.TrueAsync(
            async () =>
            {
                await other.RecordCheckAsync(Name, Tag, new Descriptor("type", Digest.Of([1]), 1), moved: false);
                return await shared.FindAsync("tag", $"{Name}:{Tag}") is not null;
            },
            () => "Redis has no check.");
        // The clock is read between the answer of Redis and the use of it.
        time.Read = () =>
        {
            if (messageCame)
                announcements.Hear($"another {Name} {Tag}");
            else
                announcements.HearSelf();
        };
        Assert.Null(await freshness.FindFreshInFleetAsync(Name, Tag));
        time.Read = null;
        Assert.NotNull(await freshness.FindFreshInFleetAsync(Name, Tag));
    }

    /// <summary>The time of the machine, with something that happens while it is read.</summary>
    private sealed class HookedTime : TimeProvider
    {
        public Action? Read { get; set; }

        public override DateTimeOffset GetUtcNow()
        {
            Read?.Invoke();
            return base.GetUtcNow();
        }
    }
}
