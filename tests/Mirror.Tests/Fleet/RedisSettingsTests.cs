using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Fleet;

/// <summary>What is warned about where Redis is configured.</summary>
public sealed class RedisSettingsTests
{
    [Theory]
    [InlineData("http: {secret: asecretforlocaldevelopment}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: ALongRandomSecretForRegistry}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: placeholder}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: mysecret}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: asupersecret}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: '123456'}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: CHANGE_ME}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: Your_Secret_Here}\nredis: {addr: \"r:6379\"}", "http.secret is a published sample")]
    [InlineData("http: {secret: q7Zk2x9}\nredis: {addr: \"r:6379\"}", "http.secret has fewer than 8 characters")]
    [InlineData("redis: {addr: \"r:6379\"}", "redis without http.secret")]
    [InlineData("http: {secret: longer-than-that}\nredis: {addr: \"r:6379\", username: u}", "redis.username has no effect")]
    [InlineData("http: {secret: longer-than-that}\nredis: {addr: \"r:6379\", sentinelpassword: p}", "redis.sentinelpassword has no effect")]
    [InlineData(
        "http: {secret: longer-than-that}\nredis: {addr: \"r:6379\", mastername: m, sentinelusername: u}",
        "redis.sentinelusername has no effect")]
    public void Settings_that_are_unsafe_or_without_effect_are_warned_about(string yaml, string warning) =>
        Assert.StartsWith(warning, Assert.Single(Load(VersionLine + yaml).Warnings), StringComparison.Ordinal);

    [Theory]
    [InlineData("http: {secret: asecretforlocaldevelopment}")]
    [InlineData("http: {secret: longer-than-that}\nredis: {addr: \"r:6379\", username: u, password: p}")]
    [InlineData("http: {secret: longer-than-that}\nredis: {addrs: [\"r:26379\"], mastername: m, sentinelusername: u, sentinelpassword: p}")]
    public void Other_settings_are_not(string yaml)
    {
        var loaded = Load(VersionLine + yaml);
        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
    }
}
