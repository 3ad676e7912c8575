using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Resilience;

/// <summary>Two upstreams on one host keep apart what belongs to each: accounts, repositories and bytes in flight.</summary>
public sealed class TwoUpstreamsTests : IAsyncLifetime
{
    private const string App = "team/app";

    private ScriptedHub _one = null!;
    private ScriptedHub _two = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        (_one, _two) = (await ScriptedHub.StartAsync(), await ScriptedHub.StartAsync());
        (_one.Account, _two.Account) = (("usera", "passa"), ("userb", "passb"));
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    public static TheoryData<bool, string?, string?, bool> Combinations => new(
        from firstIsDefault in new[] { true, false }
        from names in new (string?, string?)[]
        {
            (null, null), ("one.example", null), (null, "two.example"), ("one.example", "two.example"),
        }
        from basic in new[] { false, true }
        select (firstIsDefault, names.Item1, names.Item2, basic));

    [Theory]
    [MemberData(nameof(Combinations))]
    public async Task Each_origin_on_one_host_sees_its_own_account_only(
        bool firstIsDefault, string? firstName, string? secondName, bool basic)
    {
        var imageOfOne = AddPrivateImage(_one, seed: 1, basic);
        var imageOfTwo = AddPrivateImage(_two, seed: 2, basic);
        await using var mirror = await StartAsync(firstIsDefault, firstName, secondName);

        // An upstream without a name is called by its host alone, unless the other one has the same host and no name.
        var pathOfOne = firstIsDefault ? "" : $"{firstName ?? PathName(_one, isAlone: secondName is not null)}/";
        var pathOfTwo = $"{secondName ?? PathName(_two, isAlone: firstName is not null)}/";
        Assert.Equal(imageOfOne.Bytes, await ManifestAsync(mirror, $"{pathOfOne}{App}"));
        Assert.Equal(imageOfTwo.Bytes, await ManifestAsync(mirror, $"{pathOfTwo}{App}"));

        var origin = basic ? "registry" : "token";
        Assert.Equal([Basic("usera:passa")], _one.Log.AuthorizationSeenBy(origin));
        Assert.Equal([Basic("userb:passb")], _two.Log.AuthorizationSeenBy(origin));
    }

    [Fact]
    public async Task An_upstream_alone_on_its_host_is_called_by_the_host_without_its_port()
    {
        var image = _two.AddImage(App, "latest", HubBlob.Seeded(2, 1000));
        var settings = new MirrorSettings { More = $"proxy:\n  upstreams:\n  - remoteurl: {_two.Url}\n" };
        await using var mirror = await MirrorProcess.StartAsync(settings);
        Assert.Equal(image.Bytes, await ManifestAsync(mirror, $"127.0.0.1/{App}"));
    }

    [Theory]
    [InlineData("https://one.example", "same.example", "https://two.example", "same.example")]
    [InlineData("https://one.example", "two.example", "https://two.example", null)]
    [InlineData("https://one.example", null, "https://two.example", "one.example")]
    [InlineData("https://one.example/a", null, "https://one.example/b", null)]
    [InlineData("http://one.example", null, "https://one.example", null)]
    [InlineData("http://one.example:7001/a", null, "http://one.example:7001/b", null)]
    [InlineData("https://docker.io", null, "https://registry-1.docker.io", null)]
    [InlineData("https://docker.io", null, "https://one.example", "docker.io")]
    public void Two_upstreams_of_one_name_stop_the_start(string firstUrl, string? firstName, string secondUrl, string? secondName)
    {
        var (first, second) = (Entry(firstUrl, firstName), Entry(secondUrl, secondName));
        foreach (var yaml in new[]
        {
            $"proxy: {{upstreams: [{{{first}}}, {{{second}}}]}}",
            $"proxy: {{{first}, upstreams: [{{{second}}}]}}",
        })
        {
            var error = Assert.Single(Load($"{VersionLine}{yaml}").Errors);
            // Docker Hub's other names are replaced when the configuration is read.
            var shownUrl = firstUrl.Replace("//docker.io", "//registry-1.docker.io", StringComparison.Ordinal);
            Assert.Contains($"{shownUrl} and {secondUrl}", error, StringComparison.Ordinal);
            Assert.Contains("give one of them another name", error, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("http://one.example:7001", null, "http://one.example:7002", null)]
    [InlineData("https://one.example", null, "http://one.example:7002", null)]
    [InlineData("https://one.example/a", "a.example", "https://one.example/b", "b.example")]
    public void Two_upstreams_on_one_host_may_start(string firstUrl, string? firstName, string secondUrl, string? secondName)
    {
        var (first, second) = (Entry(firstUrl, firstName), Entry(secondUrl, secondName));
        Assert.Empty(Load($"{VersionLine}proxy: {{upstreams: [{{{first}}}, {{{second}}}]}}").Errors);
        Assert.Empty(Load($"{VersionLine}proxy: {{{first}, upstreams: [{{{second}}}]}}").Errors);
    }

    [Fact]
    public async Task A_download_that_both_share_tells_neither_the_others_repositories()
    {
        // The blob comes from the default upstream, which stalls. A client of the other upstream wants a range far ahead of it.
        var blob = _one.AddBlob("o/r", HubBlob.Seeded(1, 64 << 20));
        _two.AddBlob(App, blob);
        await using var mirror = await StartAsync(firstIsDefault: true, "one.example", "two.example");
        var gate = new Gate();
        _one.Fault(blob.Digest, BlobFault.StalledAt(1 << 20, gate));
        using var first = await mirror.GetAsync($"o/r/blobs/{blob.Digest}");
        await gate.Reached;
        using var range = await mirror.GetAsync($"two.example/{App}/blobs/{blob.Digest}", ("Range", "bytes=60000000-60000099"));
        Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
        Assert.Equal(blob.Slice(60_000_000, 60_000_100), await range.Content.ReadAsByteArrayAsync(Cancel));
        gate.Open();
        AssertAskedOnlyFor("o/r", _one);
        AssertAskedOnlyFor(App, _two);
    }

    private static void AssertAskedOnlyFor(string repository, ScriptedHub hub) => Assert.All(
        hub.Log.Requests.Where(r => r.Origin == "registry"),
        r => Assert.StartsWith($"/v2/{repository}/", r.Path, StringComparison.Ordinal));

    private static string Entry(string url, string? name) => $"remoteurl: \"{url}\"{(name is null ? "" : $", name: {name}")}";

    private static string Basic(string account) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(account));

    private static string PathName(ScriptedHub hub, bool isAlone) => isAlone ? hub.Url.Host : $"{hub.Url.Host}_{hub.Url.Port}";

    /// <summary>An image that only the hub's own account may read.</summary>
    /// <param name="basic">Whether the registry asks for the account itself, instead of for a token.</param>
    private static HubImage AddPrivateImage(ScriptedHub hub, int seed, bool basic)
    {
        var image = hub.AddImage(App, "latest", HubBlob.Seeded(seed, 1000));
        hub.Private.Add(App);
        if (basic)
        {
            hub.AsksForTokens = false;
            hub.Script(r => r.Authorization != Basic($"{hub.Account!.Value.User}:{hub.Account.Value.Password}"), Answer.By(context =>
            {
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                context.Response.Headers.WWWAuthenticate = "Basic realm=\"registry\"";
                return Task.CompletedTask;
            }));
        }
        return image;
    }

    private async Task<MirrorProcess> StartAsync(bool firstIsDefault, string? firstName, string? secondName)
    {
        var yaml = new StringBuilder();
        if (firstIsDefault && firstName is not null)
            yaml.AppendLine($"  name: {firstName}");
        yaml.AppendLine(firstIsDefault ? "  upstreams:" : "proxy:\n  upstreams:");
        if (!firstIsDefault)
            yaml.AppendLine($"  - {{{Entry(_one.Url.OriginalString, firstName)}, username: usera, password: passa}}");
        yaml.AppendLine($"  - {{{Entry(_two.Url.OriginalString, secondName)}, username: userb, password: passb}}");
        return await MirrorProcess.StartAsync(firstIsDefault
            ? new MirrorSettings { Upstream = _one.Url, Username = "usera", Password = "passa", More = yaml.ToString() }
            : new MirrorSettings { More = yaml.ToString() });
    }

    private static async Task<byte[]> ManifestAsync(MirrorProcess mirror, string repository)
    {
        using var response = await mirror.GetAsync($"{repository}/manifests/latest");
        Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}\n{string.Join('\n', mirror.Log)}");
        return await response.Content.ReadAsByteArrayAsync(Cancel);
    }
}
