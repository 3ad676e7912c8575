using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary>What denies images does so, or prevents the start.</summary>
public sealed class PolicyPatternTests
{
    private const string Hub = VersionLine + "proxy:\n  remoteurl: https://registry-1.docker.io\n";
    private const string Ghcr = "  upstreams: [{remoteurl: https://ghcr.io}]\n";

    [Theory]
    [InlineData("nginx", "library/nginx")]
    [InlineData("*", "library/*")]
    [InlineData("docker.io/nginx", "library/nginx")]
    [InlineData("docker.io/library/redis", "library/redis")]
    [InlineData("index.docker.io/acme/**", "acme/**")]
    [InlineData("**", "**")]
    [InlineData("ghcr.io/acme/*", "ghcr.io/acme/*")]
    [InlineData("acme/*", "acme/*")]
    public void A_pattern_for_Docker_Hub_gets_the_name_of_the_catalog(string pattern, string expected)
    {
        var loaded = Load($"{Hub}{Ghcr}  policies: [{{match: \"{pattern}\", deny: no}}]\n");

        Assert.Empty(loaded.Errors);
        Assert.Equal(expected, Assert.Single(loaded.Options.Proxy.Policies[0].Match));
    }

    [Fact]
    public void A_pattern_gets_the_name_of_the_upstream_that_it_names()
    {
        var loaded = Load(VersionLine + """
            proxy:
              remoteurl: https://quay.io
              policies: [{match: [quay.io/acme/*, docker.io/nginx, nginx], deny: no}]
              upstreams:
              - {remoteurl: https://docker.io, policies: [{match: [redis, docker.io/acme/app], deny: no}]}
              - {remoteurl: https://ghcr.io, policies: [{match: [ghcr.io/acme/app, app], deny: no}]}
            """);

        Assert.Equal(["acme/*", "docker.io/library/nginx", "nginx"], loaded.Options.Proxy.Policies[0].Match);
        Assert.Equal(["library/redis", "acme/app"], loaded.Options.Proxy.Upstreams[0].Policies[0].Match);
        Assert.Equal(["acme/app", "app"], loaded.Options.Proxy.Upstreams[1].Policies[0].Match);
    }

    [Fact]
    public void A_pattern_for_a_single_upstream_other_than_Docker_Hub_keeps_Docker_Hubs_name()
    {
        var loaded = Load(VersionLine
            + "proxy: {remoteurl: https://quay.io, policies: [{match: [quay.io/acme/*, docker.io/nginx], deny: no}]}\n");

        Assert.Equal(["acme/*", "docker.io/nginx"], loaded.Options.Proxy.Policies[0].Match);
    }

    [Theory]
    [InlineData("docker.io/**")]
    [InlineData("docker.io/*/nginx")]
    public void A_pattern_for_all_of_the_default_upstream_alone_prevents_a_start(string pattern) => Assert.StartsWith(
        $"proxy.policies.0.match: \"{pattern}\" is not allowed beside proxy.upstreams",
        Assert.Single(Load($"{Hub}{Ghcr}  policies: [{{match: {pattern}, allow: true}}]\n").Errors));

    [Theory]
    [InlineData("deny:")]
    [InlineData("deny: \"\"")]
    [InlineData("deny: ~")]
    public void A_denial_without_a_text_prevents_a_start(string deny) => Assert.Equal(
        "proxy.policies.0.deny: it has no value; text is required, or remove the key",
        Assert.Single(Load($"{Hub}  policies:\n  - match: library/nginx\n    {deny}\n").Errors));

    [Theory]
    [InlineData("nginx", 1)]
    [InlineData("docker.io/library/nginx", 1)]
    [InlineData("library/nginx", 0)]
    [InlineData("app", 0)]
    public void A_pattern_of_a_rule_that_matches_no_image_causes_a_warning(string pattern, int count)
    {
        var loaded = Load($"{Hub}hosted: {{repositories: [app]}}\n"
            + $"access: {{rules: [{{who: {{anonymous: true}}, repositories: [{pattern}], actions: [pull]}}]}}\n");

        Assert.Empty(loaded.Errors);
        Assert.Equal(count, loaded.Warnings.Count(warning =>
            warning.StartsWith($"access.rules.0.repositories: \"{pattern}\" matches no image", StringComparison.Ordinal)));
    }
}
