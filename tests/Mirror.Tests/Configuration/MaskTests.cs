using Mirror.Configuration.Reading;
using Xunit;

namespace Mirror.Tests.Configuration;

/// <summary>The login in an address is never printed.</summary>
public sealed class MaskTests
{
    [Theory]
    [InlineData("http://me:hunter2@host/path", "http://***@host/path")]
    [InlineData("http://me:hun/ter2@host/path", "http://***@host/path")]
    [InlineData("postgresql://me:hunter2/more@host/index", "postgresql://***@host/index")]
    [InlineData("mysql://me:1234/hunter2@host/index", "mysql://***@host/index")]
    [InlineData("http://host:8080/path@2", "http://host:8080/path@2")]
    [InlineData("https://host/path?to=a@b", "https://host/path?to=a@b")]
    [InlineData("someone@host", "someone@host")]
    public void A_password_is_masked_also_with_a_slash_in_it(string text, string shown) =>
        Assert.Equal(shown, Secrets.Mask(null, "url", text));
}
