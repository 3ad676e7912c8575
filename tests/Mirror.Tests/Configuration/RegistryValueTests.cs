using System.Text.RegularExpressions;
using Mirror.Configuration;
using Mirror.Configuration.Reading;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary>Values that <c>registry:2</c> or <c>registry:3</c> starts with, although they look like mistakes.</summary>
public sealed class RegistryValueTests
{
    [Theory]
    [InlineData("storage: {filesystem: {maxthreads: 24}}")]
    [InlineData("storage: {filesystem: {maxthreads: -1}}")]
    [InlineData("storage: {gcs: {bucket: b, maxconcurrency: 0}}")]
    [InlineData("storage: {s3: {bucket: b, region: r, secure: \"1\", skipverify: \"f\", v4auth: \"t\"}}")]
    [InlineData("storage: {swift: {username: u, password: p, authurl: 'http://h/v3', container: c, tempurlmethods: [GET, HEAD]}}")]
    [InlineData("http: {secret: 12-letters-x}\nredis: {addrs: ['x:1'], minretrybackoff: -1, maxretrybackoff: -1ns, connmaxidletime: -1}")]
    [InlineData("http: {secret: 12-letters-x}\nredis: {addr: 'x:1', pool: {maxidle: -1, maxactive: 0, idletimeout: -1s}}")]
    [InlineData("notifications: {endpoints: [{name: a, disabled: true}, {name: a, url: 'http://x/'}]}")]
    [InlineData("notifications: {endpoints: [{disabled: true}]}")]
    public void They_prevent_no_start(string yaml)
    {
        var loaded = Load(VersionLine + yaml);

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("-1ns")]
    public void No_limit_for_Redis_is_the_longest_time_that_is_used(string limit)
    {
        var redis = Load(VersionLine + $"redis: {{addr: 'x:1', readtimeout: {limit}, writetimeout: {limit}}}").Options.Redis;

        Assert.Equal((TimeSpan.FromDays(1), TimeSpan.FromDays(1)), (redis.ReadTimeout, redis.CallTimeout));
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("-1h")]
    [InlineData("0")]
    public void No_image_is_removed_for_its_age_with_a_ttl_that_is_not_positive(string ttl)
    {
        var loaded = Load(VersionLine + $"proxy: {{remoteurl: https://x, ttl: {ttl}}}");

        Assert.Empty(loaded.Errors);
        Assert.Equal(TimeSpan.Zero, loaded.Options.Proxy.Ttl);
    }

    [Theory]
    [InlineData("-2y")]
    [InlineData("999999d")]
    public void A_ttl_that_is_no_time_is_a_mistake(string ttl) =>
        Assert.StartsWith("proxy.ttl: ", Assert.Single(Load(VersionLine + $"proxy: {{remoteurl: https://x, ttl: {ttl}}}").Errors));

    [Fact]
    public void Zero_means_the_default()
    {
        var options = Load(VersionLine + """
            catalog: {maxentries: 0}
            tags: {maxtags: 0}
            notifications: {endpoints: [{name: a, url: 'http://x/', timeout: 0s, threshold: 0, backoff: 0}]}
            health: {http: [{uri: 'http://x/', statuscode: 0}]}
            """).Options;

        var endpoint = Assert.Single(options.Notifications.Endpoints);
        Assert.Equal((1000, 1000), (options.Catalog.MaxEntries, options.Tags.MaxTags));
        Assert.Equal((TimeSpan.FromSeconds(1), 10, TimeSpan.FromSeconds(1)), (endpoint.Timeout, endpoint.Threshold, endpoint.Backoff));
        Assert.Equal(200, Assert.Single(options.Health.Http).StatusCode);
    }

    [Theory]
    [InlineData("List", RequiredPlatforms.List)]
    [InlineData("ALL", RequiredPlatforms.All)]
    public void The_platforms_may_have_capital_letters(string word, RequiredPlatforms expected) => Assert.Equal(
        expected, Load(VersionLine + $"validation: {{manifests: {{indexes: {{platforms: {word}}}}}}}").Options.Validation.Manifests.Indexes
            .Platforms);

    [Theory]
    [InlineData("reduced_redundancy", "REDUCED_REDUNDANCY")]
    [InlineData("none", "NONE")]
    public void A_class_of_S3_is_sent_in_capital_letters(string given, string sent) => Assert.Equal(
        sent, Load(VersionLine + $"storage: {{s3: {{bucket: b, storageclass: {given}}}}}").Options.Storage.S3!.StorageClass);

    [Fact]
    public void The_host_of_Locations_may_have_letters_that_no_header_can_hold() => Assert.Equal(
        "https://xn--kln-sna.example:5000/%C3%BC",
        Load(VersionLine + "http: {host: \"https://k\u00F6ln.example:5000/\u00FC/\"}").Options.Http.Host);

    [Fact]
    public void The_realm_of_a_token_server_may_have_letters_that_no_header_can_hold() => Assert.Equal(
        "https://xn--kln-sna.example/%C3%BC",
        Load(VersionLine + "auth: {token: {realm: \"https://k\u00F6ln.example/\u00FC\", service: s, issuer: i, jwks: /dev/null}}")
            .Options.Auth.Token!.Realm);

    [Fact]
    public void An_address_without_a_host_is_this_machine() =>
        Assert.Equal("localhost:6379", Load(VersionLine + "redis: {addr: ':6379'}").Options.Redis.Addr);

    [Theory]
    [InlineData("^https://[[:alnum:].-]+/$", "https://a1.example/", true)]
    [InlineData("^https://[[:alnum:].-]+/$", "https://a_1.example/", false)]
    [InlineData("^[^[:space:][:upper:]]+$", "https://a.example/", true)]
    [InlineData("^[^[:space:][:upper:]]+$", "https://A.example/", false)]
    [InlineData("^(?P<scheme>https?)://", "https://a.example/", true)]
    [InlineData("^[]a]+$", "a]", true)]
    [InlineData("^[^]a]+$", "b]", false)]
    [InlineData("^[a-z-[aeiou]+$", "a[", true)]
    [InlineData(@"^\[[:alpha:]\]$", "[:]", true)]
    [InlineData(@"^[\]\d]+$", "]1", true)]
    public void A_pattern_means_what_it_means_to_Go(string pattern, string url, bool matches) =>
        Assert.Equal(matches, Regex.IsMatch(url, GoPattern.Translate(pattern)));

    [Theory]
    [InlineData("[[:vowel:]]")]
    [InlineData("[[:^alpha:]]")]
    public void A_class_that_cannot_be_used_is_a_mistake(string pattern) => Assert.StartsWith(
        $"validation.manifests.urls.deny.0: \"{pattern}\" is not allowed",
        Assert.Single(Load(VersionLine + $"validation: {{manifests: {{urls: {{deny: ['{pattern}']}}}}}}").Errors));
}
