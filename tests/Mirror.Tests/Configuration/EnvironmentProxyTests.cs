using Mirror.Configuration;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary>HTTP_PROXY, HTTPS_PROXY and NO_PROXY by the rules of Go's <c>golang.org/x/net/http/httpproxy</c>.</summary>
public sealed class EnvironmentProxyTests
{
    // The list of the package's own tests, with addresses of every form.
    private const string Excluded = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, "
        + "2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64";

    [Theory]
    [InlineData("127.0.0.1:8080", "http://127.0.0.1:8080/")]
    [InlineData("cache.corp.example.com:1234", "http://cache.corp.example.com:1234/")]
    [InlineData("cache.corp.example.com", "http://cache.corp.example.com/")]
    [InlineData("localhost", "http://localhost/")]
    [InlineData("https://cache.corp.example.com", "https://cache.corp.example.com/")]
    [InlineData(" http://127.0.0.1:8080/ ", "http://127.0.0.1:8080/")]
    [InlineData("socks5://127.0.0.1", "socks5://127.0.0.1:1080/")]
    [InlineData("socks5h://[2001:db8::1]:99", "socks5://[2001:db8::1]:99/")]
    [InlineData("", null)]
    [InlineData("foo://host", null)]
    [InlineData("http://", null)]
    public void A_proxy_is_an_address_with_or_without_a_scheme(string given, string? expected)
    {
        var proxy = Of(("HTTP_PROXY", given));
        Assert.Equal(expected, proxy.GetProxy(new("http://example.com"))?.AbsoluteUri);
        Assert.Equal(expected is null, proxy.IsBypassed(new("http://example.com")));
        Assert.Equal(expected is null && given.Length > 0, proxy.Warnings.Count == 1);
    }

    [Theory]
    [InlineData("http://insecure.example/", "http://http.proxy.example/")]
    [InlineData("https://secure.example/", "http://secure.proxy.example/")]
    [InlineData("ftp://insecure.example/", null)]
    public void The_scheme_of_the_request_chooses_the_proxy(string url, string? expected) => Assert.Equal(
        expected,
        Of(("HTTP_PROXY", "http.proxy.example"), ("HTTPS_PROXY", "secure.proxy.example")).GetProxy(new(url))?.AbsoluteUri);

    [Fact]
    public void The_proxy_for_http_is_none_for_https() =>
        Assert.Null(Of(("HTTP_PROXY", "http.proxy.example")).GetProxy(new("https://secure.example/")));

    [Fact]
    public void Upper_case_comes_before_lower_case_and_an_empty_variable_is_an_absent_one()
    {
        var url = new Uri("http://example.com");
        Assert.Equal("upper", Of(("HTTP_PROXY", "upper"), ("http_proxy", "lower")).GetProxy(url)?.Host);
        Assert.Equal("lower", Of(("HTTP_PROXY", ""), ("http_proxy", "lower")).GetProxy(url)?.Host);
        Assert.NotNull(Of(("http_proxy", "p"), ("NO_PROXY", "other.example"), ("no_proxy", "example.com")).GetProxy(url));
        Assert.Null(Of(("http_proxy", "p"), ("NO_PROXY", ""), ("no_proxy", "example.com")).GetProxy(url));
    }

    [Theory]
    // This machine, always.
    [InlineData("localhost", false)]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.0.0.2", false)]
    [InlineData("[::1]", false)]
    [InlineData("[::2]", true)]
    [InlineData("localhost.net", true)]
    [InlineData("local.localhost", true)]
    // Addresses, with and without a port, and networks.
    [InlineData("192.168.1.1", false)]
    [InlineData("192.168.1.2", true)]
    [InlineData("192.168.1.2:81", false)]
    [InlineData("192.168.1.3", false)]
    [InlineData("192.168.1.3:81", true)]
    [InlineData("192.168.1.4", true)]
    [InlineData("10.0.0.2", false)]
    [InlineData("10.0.0.4", true)]
    [InlineData("[::ffff:10.0.0.2]", false)]
    [InlineData("[2001:db8::52:0:1]", false)]
    [InlineData("[2001:db8::52:0:2]", true)]
    [InlineData("[2001:db8::52:0:2]:443", false)]
    [InlineData("[2001:db8::52:0:3]", false)]
    [InlineData("[2002:db8:a::123]", false)]
    [InlineData("[fe80::424b:c8be:1643:a1b6]", true)]
    // Domains.
    [InlineData("barbaz.net", true)]
    [InlineData("www.barbaz.net", false)]
    [InlineData("foobar.com", false)]
    [InlineData("FOOBAR.com:8080", false)]
    [InlineData("www.foobar.com", false)]
    [InlineData("foofoobar.com", true)]
    [InlineData("baz.com", true)]
    [InlineData("barbarbaz.net", true)]
    [InlineData("wildcard.io", true)]
    [InlineData("nested.wildcard.io", false)]
    [InlineData("awildcard.io", true)]
    public void NO_PROXY_excludes_addresses_networks_and_domains(string host, bool isProxied)
    {
        Assert.Equal(!isProxied, Of(("HTTP_PROXY", "proxy"), ("NO_PROXY", Excluded)).IsBypassed(new($"http://{host}/")));
        Assert.True(Of(("HTTP_PROXY", "proxy"), ("NO_PROXY", "example.org, *")).IsBypassed(new($"http://{host}/")));
    }

    [Theory]
    [InlineData("foo.example:5000", "http://foo.example:5000/", false)]
    [InlineData("foo.example:5000", "http://a.foo.example:5000/", false)]
    [InlineData("foo.example:5000", "http://foo.example/", true)]
    [InlineData("foo.example:443", "https://foo.example/", false)]
    [InlineData(".foo.example:443", "https://foo.example/", true)]
    [InlineData("*.foo.example:443", "https://a.foo.example/", false)]
    [InlineData("[2001:db8::1]", "http://[2001:db8::1]:5000/", false)]
    [InlineData("172.16.9.9/12", "http://172.31.255.255/", false)]
    [InlineData("172.16.9.9/12", "http://172.32.0.1/", true)]
    [InlineData("0.0.0.0/0", "http://198.51.100.1/", false)]
    [InlineData("0.0.0.0/0", "http://registry.example/", true)]
    [InlineData(".示例.com", "http://www.示例.com", false)]
    [InlineData("xn--fsq092h.com", "http://www.示例.com", false)]
    [InlineData("示例.com", "http://www.xn--fsq092h.com", false)]
    // What cannot be read excludes nothing.
    [InlineData(":1", "http://example.com:1/", true)]
    [InlineData("[, [:, ], ,/, 10.0.0.0/33, 10/8, a:b:c, *example.com, 10", "http://10.0.0.1/", true)]
    [InlineData("*example.com", "http://an.example.com/", true)]
    public void An_entry_of_NO_PROXY(string entry, string url, bool isProxied) =>
        Assert.Equal(!isProxied, Of(("HTTP_PROXY", "p"), ("HTTPS_PROXY", "p"), ("NO_PROXY", entry)).IsBypassed(new(url)));

    [Fact]
    public void User_and_password_in_the_address_are_for_this_proxy_only()
    {
        var proxy = Of(("HTTP_PROXY", "http://ann:p%40ss%3Aword@one.example:3128"), ("HTTPS_PROXY", "two.example"));
        // A proxy may offer these beside Basic. The framework would prefer them, and fail.
        foreach (var scheme in new[] { "Negotiate", "NTLM" })
            Assert.Null(proxy.GetCredential(new("http://one.example:3128"), scheme));
        var one = proxy.GetProxy(new("http://example.com"))!;
        Assert.Equal("http://one.example:3128/", one.AbsoluteUri);
        var credential = proxy.Credentials!.GetCredential(one, "Basic");
        Assert.Equal(("ann", "p@ss:word"), (credential?.UserName, credential?.Password));
        Assert.Null(proxy.Credentials!.GetCredential(proxy.GetProxy(new("https://example.com"))!, "Basic"));
        Assert.Null(proxy.Credentials!.GetCredential(new("http://example.com"), "Basic"));
    }

    [Fact]
    public void A_variable_that_cannot_be_used_is_a_warning_without_its_value()
    {
        var warning = Assert.Single(LoadNothing(("HTTPS_PROXY", "ftp://ann:secret@proxy")).Warnings);
        Assert.StartsWith("HTTPS_PROXY ", warning);
        Assert.DoesNotContain("secret", warning, StringComparison.Ordinal);
    }

    private static EnvironmentProxy Of(params (string Name, string Value)[] variables) =>
        new(variables.ToDictionary(variable => variable.Name, variable => variable.Value));
}
