using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Mirror.Configuration;
using Mirror.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>To which hosts credentials may go, and which hosts the mirror connects to, when the network names them.</summary>
public sealed class CredentialsStayHomeTests
{
    [Theory]
    [InlineData("https://registry-1.docker.io", "https://auth.docker.io/token")]
    [InlineData("https://registry.gitlab.com", "https://gitlab.com/jwt/auth")]
    [InlineData("https://ghcr.io", "https://ghcr.io/token")]
    [InlineData("https://quay.example", "https://auth.quay.example/token")]
    [InlineData("http://10.0.0.7:5000", "http://10.0.0.7:5001/token")]
    public void A_registrys_own_token_service_is_asked(string registry, string realm) =>
        Assert.True(Origin(registry).MaySendLoginTo(new Uri(realm)));

    [Fact]
    public void A_configured_token_service_is_asked_and_no_other()
    {
        string[] realms = ["sso.example:8443", "login.example"];
        var options = new UpstreamOptions { RemoteUrl = new("https://registry.example"), TokenRealms = realms };
        var origin = new UpstreamOrigin(options, "registry.example");
        Assert.True(origin.MaySendLoginTo(new("https://sso.example:8443/t")));
        Assert.True(origin.MaySendLoginTo(new("https://login.example/t")));
        Assert.False(origin.MaySendLoginTo(new("https://sso.example/t")));
        Assert.False(origin.MaySendLoginTo(new("http://login.example/t")));
        Assert.False(origin.MaySendLoginTo(new("https://login.example:8443/t")));
    }

    public static TheoryData<string, string> HostileRealms => new(
        from registry in new[] { "https://registry-1.docker.io", "https://registry.example.com" }
        from realm in new[]
        {
            "https://evil.example/token", "http://auth.docker.io/token", "http://registry.example.com/token",
            "https://auth.docker.io.evil.example/token",
            "https://evil-auth.docker.io.example/token", "https://auth.docker.io:8443/token", "https://auth.docker.io@evil.example/token",
            "https://user:pass@auth.docker.io/token", "https://user@registry.example.com/token", "https://evilregistry.example.com/token",
            "https://example.com/token", "https://com/token", "https://127.0.0.1/token", "https://[::1]/token",
            "https://169.254.169.254/latest/meta-data", "ftp://auth.docker.io/token", "file:///etc/passwd",
            "gopher://registry.example.com/", "https://auth.docker.io./token", "https://registry.example.com.:443/t",
        }
        select (registry, realm));

    [Theory]
    [MemberData(nameof(HostileRealms))]
    public void A_realm_that_the_network_makes_up_is_not_asked(string registry, string realm) =>
        Assert.False(Origin(registry).MaySendLoginTo(new Uri(realm)));

    public static TheoryData<string> RedirectChains => new(
        from hop in new[]
        {
            "https://cdn.example/x", "https://registry.example:8443/x", "https://REGISTRY.example.evil.example/x",
            "https://user:pass@evil.example/", "//evil.example/x", "https://registry.example@evil.example/",
            "https://evil.example/?https://registry.example/", "https://evil.example#registry.example",
            "https://registry.example.evil.example/", "https://xn--rgistry-b1a.example/",
        }
        from chain in new[]
        {
            hop, $"{hop} https://registry.example/again {hop}", $"/elsewhere {hop}",
            $"{hop} https://third.example/ {hop} https://fourth.example/",
        }
        select chain);

    [Theory]
    [MemberData(nameof(RedirectChains))]
    public async Task A_redirect_does_not_take_credentials_along(string chain)
    {
        var origin = Origin("https://registry.example");
        using var net = new ScriptedNet(chain.Split(' '));
        using var http = new HttpMessageInvoker(new RedirectHandler(origin) { InnerHandler = net });
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://registry.example/v2/a/blobs/x");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "canary");
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(chain.Split(' ').Length + 1, net.Asked.Count);
        Assert.All(net.Asked, asked =>
            Assert.True(asked.Authorization is null || origin.IsSameOrigin(asked.Url), $"{asked.Url} saw {asked.Authorization}"));
        Assert.All(net.Asked, asked => Assert.DoesNotContain("canary", asked.Others, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://registry.example/x")]
    [InlineData("https://cdn.example/x http://cdn.example/x")]
    [InlineData("ftp://cdn.example/x")]
    [InlineData("file:///etc/passwd")]
    [InlineData("/1 /2 /3 /4 /5 /6 /7 /8 /9 /10 /11")]
    public async Task A_redirect_from_https_to_another_scheme_or_without_end_is_not_followed(string chain)
    {
        using var net = new ScriptedNet(chain.Split(' '));
        using var http = new HttpMessageInvoker(new RedirectHandler(Origin("https://registry.example")) { InnerHandler = net });
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://registry.example/v2/a/blobs/x");
        await Assert.ThrowsAsync<RedirectException>(() => http.SendAsync(request, TestContext.Current.CancellationToken));
        Assert.All(net.Asked, asked => Assert.Equal("https", asked.Url.Scheme));
        Assert.InRange(net.Asked.Count, 1, 11);
    }

    public static TheoryData<string> InternalAddresses => [.. new[]
        {
            "127.0.0.1", "127.1", "0", "0.0.0.0", "127.255.255.254", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.1", "localhost",
            "LOCALHOST", "localhost.", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
            "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.254", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.19.255.255",
            "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "0.1.2.3",
            "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]",
            "[::7f00:1]", "[fe80::1]", "[febf::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[ff05::2]",
            "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[2002:c0a8:101::1]",
            "[100::1]", "[2001:db8::1]", "[2001::1]", "[5f00::1]", "[3fff::1]",
        }];

    [Theory]
    [MemberData(nameof(InternalAddresses))]
    public async Task An_internal_address_that_an_upstream_names_is_not_connected_to(string host)
    {
        using var trap = new TcpListener(IPAddress.IPv6Any, 0);
        trap.Server.DualMode = true;
        trap.Start();
        // An upstream outside, by its address, so that no name is resolved.
        var origin = Origin("https://8.8.8.8");
        using var http = new HttpClient(UpstreamConnections.Create(origin, new UpstreamTls(new UpstreamTlsOptions())));
        var url = new Uri($"http://{host}:{((IPEndPoint)trap.LocalEndpoint).Port}/");
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(url, TestContext.Current.CancellationToken));
        Assert.False(trap.Pending());
    }

    // The connection pool spells such a name in ASCII. If the two spellings differed, the host would be taken for a configured proxy.
    [Fact]
    public void An_international_name_is_compared_in_ascii()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://b\u00fccher.example/");
        Assert.Equal("xn--bcher-kva.example", UpstreamConnections.Named(request));
    }

    [Theory]
    [InlineData("8.8.8.8")]
    [InlineData("104.16.0.1")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.1")]
    [InlineData("172.15.0.1")]
    [InlineData("172.32.0.1")]
    [InlineData("2606:4700::6810:1")]
    [InlineData("64:ff9b::808:808")]
    [InlineData("2002:808:808::1")]
    [InlineData("::ffff:8.8.8.8")]
    public void An_address_outside_is_public(string address) => Assert.True(UpstreamConnections.IsPublic(IPAddress.Parse(address)));

    private static UpstreamOrigin Origin(string registry) => new(new UpstreamOptions { RemoteUrl = new Uri(registry) }, "registry.example");

    /// <summary>Answers with one redirect after the other, then 200, and keeps the requests.</summary>
    private sealed class ScriptedNet(IEnumerable<string> locations) : HttpMessageHandler
    {
        private readonly Queue<string> _locations = new(locations);

        public List<(Uri Url, string? Authorization, string Others)> Asked { get; } = [];

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Asked.Add((request.RequestUri!, request.Headers.Authorization?.ToString(),
                string.Join(' ', request.Headers.Where(header => header.Key != "Authorization").SelectMany(header => header.Value))));
            var response = new HttpResponseMessage(HttpStatusCode.OK) { RequestMessage = request };
            if (_locations.TryDequeue(out var location))
            {
                response.StatusCode = HttpStatusCode.TemporaryRedirect;
                response.Headers.Location = new Uri(location, UriKind.RelativeOrAbsolute);
            }
            return Task.FromResult(response);
        }
    }
}
