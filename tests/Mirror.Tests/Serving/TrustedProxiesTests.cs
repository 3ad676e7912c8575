using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>What proxies say of their clients, and who is believed: <c>http.trusted_proxies</c>.</summary>
public sealed class TrustedProxiesTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private const string Client = "203.0.113.7";

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData(Client, "X-Forwarded-For", Client)]
    [InlineData(Client, "X-Forwarded-For", "198.51.100.1, 203.0.113.7")]
    [InlineData(Client, "X-Forwarded-For", "198.51.100.1, 203.0.113.7, 127.0.0.1")]
    [InlineData(Client, "X-Forwarded-For", "::ffff:203.0.113.7")]
    [InlineData(Client, "X-Forwarded-For", "203.0.113.7:4711")]
    [InlineData("2001:db8::1", "X-Forwarded-For", "2001:db8::1")]
    [InlineData("127.0.0.1", "X-Forwarded-For", "203.0.113.7, unknown")]
    [InlineData("127.0.0.1", "X-Forwarded-For", "\" - - [")]
    [InlineData(Client, "X-Real-IP", Client)]
    [InlineData(Client, "Forwarded", "for=198.51.100.1, for=\"203.0.113.7:80\";proto=https")]
    [InlineData("2001:db8::1", "Forwarded", "proto=http;For=\"[2001:db8::1]:4711\"")]
    [InlineData("127.0.0.1", "Forwarded", "for=_hidden")]
    [InlineData(Client, "Forwarded", "for=203.0.113.7", "X-Forwarded-For", "198.51.100.1")]
    [InlineData(Client, "X-Forwarded-For", Client, "X-Real-IP", "198.51.100.1")]
    public async Task The_log_has_the_address_that_a_trusted_proxy_reports(string expected, params string[] headers)
    {
        var mirror = registry.Mirror;
        Assert.Equal(expected, await LoggedAddressAsync(mirror, [.. headers.Chunk(2).Select(pair => (pair[0], pair[1]))]));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("[10.0.0.0/8, '::1']")]
    public async Task A_peer_that_is_not_trusted_is_not_believed(string trusted)
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_TRUSTED_PROXIES"] = trusted },
        });
        foreach (var headers in new (string, string)[][]
        {
            [("X-Forwarded-For", Client), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "hub.example")],
            [("Forwarded", $"for={Client};proto=https;host=hub.example")],
            [("X-Real-IP", Client)],
        })
        {
            Assert.Equal("127.0.0.1", await LoggedAddressAsync(mirror, headers));
            using var begun = await new PushedRepository(mirror, "a/b").SendAsync("POST", "blobs/uploads/", null, null, headers);
            Assert.StartsWith("/v2/a/b/blobs/uploads/", begun.Headers.Location!.OriginalString, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_network_may_be_trusted()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_TRUSTED_PROXIES"] = "[127.0.0.0/8, 203.0.113.0/24]" },
        });
        Assert.Equal("198.51.100.1", await LoggedAddressAsync(mirror, ("X-Forwarded-For", $"198.51.100.1, {Client}")));
    }

    [Fact]
    public async Task IPv4_addresses_are_written_as_such_on_every_interface()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Interface = "" });
        Assert.Equal("127.0.0.1", await LoggedAddressAsync(mirror));
        await mirror.UntilLoggedAsync(line => line.Contains("http.request.remoteaddr=\"127.0.0.1:", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData("proxy_set_header Host $http_host;")]
    [InlineData("proxy_set_header X-Forwarded-Proto $scheme;")]
    [InlineData(
        "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;")]
    [InlineData("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_http_version 1.1;")]
    public async Task Pushes_work_through_every_TLS_front(string directives)
    {
        NginxFront.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        await using var front = await NginxFront.StartAsync(registry.Mirror.Authority, directives);
        using var skopeo = new Skopeo();
        var image = TestImage.Create(seed: 70, layers: 2);
        var target = $"{front.Authority}/front/hello:{directives.Length}";
        await skopeo.PushAsync(image, target);
        var folder = await skopeo.PullAsync(target);
        Assert.Equal(
            image.Manifest, await File.ReadAllBytesAsync(Path.Combine(folder, "manifest.json"), TestContext.Current.CancellationToken));
    }

    // The first field of the line in the access log of a request of its own.
    private static async Task<string> LoggedAddressAsync(MirrorProcess mirror, params (string, string)[] headers)
    {
        var mark = $"n=7&mark={Guid.NewGuid():N}";
        using (await mirror.GetAsync($"_catalog?{mark}", headers))
        {
        }
        string? line = null;
        await Until.TrueAsync(
            () => Task.FromResult(
                (line = mirror.Log.FirstOrDefault(line => line.Contains($"{mark} HTTP", StringComparison.Ordinal))) is not null),
            () => "the request is not logged");
        return line!.Split(' ')[0];
    }
}
