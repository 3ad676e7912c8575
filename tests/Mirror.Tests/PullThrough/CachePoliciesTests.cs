using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>The cache settings of a repository follow the settings in force.</summary>
public sealed class CachePoliciesTests
{
    private static readonly RepositoryName Name = RepositoryName.Parse("library/nginx");

    [Fact]
    public void A_policy_is_compiled_once_until_the_settings_are_replaced()
    {
        var live = new LiveOptions(Options(TimeSpan.FromMinutes(1), "v*"));
        var policies = new CachePolicies(live);
        var first = policies.Of(Name);
        Assert.Same(first, policies.Of(Name));
        Assert.Equal(TimeSpan.FromMinutes(1), first.TagsCacheTtl);
        Assert.True(first.IsImmutable("v1"));

        live.Replace(Options(TimeSpan.FromMinutes(2)));
        Assert.Equal(TimeSpan.FromMinutes(2), policies.Of(Name).TagsCacheTtl);
        Assert.False(policies.Of(Name).IsImmutable("v1"));
    }

    [Fact]
    public void Asking_for_a_policy_allocates_nothing()
    {
        var policies = new CachePolicies(new LiveOptions(Options(TimeSpan.FromMinutes(1), "v*")));
        _ = policies.Of(Name);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
            _ = policies.Of(Name);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static MirrorOptions Options(TimeSpan ttl, params string[] immutable) =>
        new() { Proxy = { TagsCacheTtl = ttl, ImmutableTags = immutable } };
}
