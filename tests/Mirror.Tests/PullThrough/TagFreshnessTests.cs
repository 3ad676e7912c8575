using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.PullThrough;
using Mirror.Storage;
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
        Assert.NotNull(freshness.Fresh(Name, Tag));

        if (messageCame)
            announcements.Hear($"another {Name} {Tag}");
        else
            announcements.HearSelf();
        Assert.Null(freshness.Fresh(Name, Tag));
        Assert.Null(freshness.SinceCheck(Name, Tag));
        Assert.Equal(TimeSpan.FromMinutes(1), freshness.Age(Name, Tag));
        Assert.True(freshness.MayBeServedStale(Name, Tag));
        time.Advance(TimeSpan.FromHours(1));
        Assert.False(freshness.MayBeServedStale(Name, Tag));
    }
}
