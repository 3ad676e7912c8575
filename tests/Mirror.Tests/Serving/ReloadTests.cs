using System.Net;
using System.Security.Cryptography;
using System.Text;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>SIGHUP: the configuration is read again while the server runs.</summary>
public sealed class ReloadTests : MirrorOfHub
{
    private readonly TempFolder _folder = new();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_changed_key_takes_effect_and_what_needs_a_restart_is_named()
    {
        var lines = await Mirror.ReloadAsync(settings => settings with
        {
            Hosted = "[other/**]",
            More = "  policies: [{match: library/nginx, deny: closed}]\n  hold: 10s\n",
        });
        Assert.Contains(lines, line => line.Contains("proxy.policies.0.deny", StringComparison.Ordinal));
        await Mirror.UntilLoggedOnceAsync(line => line.Contains("take effect at the next start", StringComparison.Ordinal)
            && line.Contains("hosted.repositories.0, proxy.hold", StringComparison.Ordinal));
        using (var denied = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);
        using var push = await Mirror.SendAsync(HttpMethod.Post, "local/app/blobs/uploads/");
        Assert.Equal(HttpStatusCode.Accepted, push.StatusCode);
    }

    [Theory]
    [InlineData("  policies: [{match: library/nginx, deny: closed}]\n  max_stale: soon\n", "proxy.max_stale: \"soon\" is not allowed")]
    [InlineData("  policies: [{match: library/nginx, deny: closed}]\n\thold: 1s\n", "indented with a tab")]
    [InlineData("  policies: [{deny: closed}]\n", "proxy.policies.0.match: missing")]
    [InlineData("  policies: [{match: library/nginx, deny: closed}]\n  tls: {ca: /none}\n", "proxy.tls.ca: /none")]
    public async Task A_wrong_file_changes_nothing_and_says_why(string more, string why)
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        var lines = await Mirror.ReloadAsync(settings => settings with { More = more });
        Assert.Contains(lines, line => line.Contains("is not read again, and nothing has changed", StringComparison.Ordinal)
            && line.Contains(why.Replace("\"", "\\\"", StringComparison.Ordinal), StringComparison.Ordinal));
        using (var response = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);

        await Mirror.ReloadAsync(settings => settings with { More = "" });
        using var after = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
    }

    [Fact]
    public async Task A_file_that_was_broken_since_the_start_changes_nothing_and_the_log_names_it()
    {
        using var key = ECDsa.Create();
        using var certificate = TokenForge.SelfSigned("upstream", key, isAuthority: true);
        var file = _folder.Write("ca.pem", certificate.ExportCertificatePem());
        var tls = $"  tls: {{ca: {file}}}\n";
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = tls });
        _folder.Write("ca.pem", "rubbish");
        var lines = await mirror.ReloadAsync(settings => settings with { More = tls + "  hold: 1s\n" });
        Assert.Contains(lines, line => line.Contains("is not read again, and nothing has changed: proxy.tls.ca: ", StringComparison.Ordinal)
            && line.Contains(file, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("USR1")]
    [InlineData("USR2")]
    public async Task Other_signals_do_not_end_the_server_and_the_log_says_that_they_have_no_effect(string signal)
    {
        Mirror.Signal(signal);
        await Mirror.UntilLoggedOnceAsync(line => line.Contains($"SIG{signal} has no effect", StringComparison.Ordinal));
        using var response = await Mirror.GetAsync("");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task A_new_account_is_used_for_the_next_request_and_the_old_one_never_again()
    {
        Hub.Account = ("new", "secret");
        Hub.AddImage(Repository, "one", HubBlob.Seeded(1, 1000));
        Hub.AddImage(Repository, "two", HubBlob.Seeded(2, 1000));
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Username = "old", Password = "wrong" });
        using (var refused = await mirror.GetAsync(ManifestPath("one")))
            Assert.NotEqual(HttpStatusCode.OK, refused.StatusCode);
        Hub.Log.Clear();

        await mirror.ReloadAsync(settings => settings with { Username = "new", Password = "secret" });
        using (var response = await mirror.GetAsync(ManifestPath("two")))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var header = $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes("new:secret"))}";
        Assert.All(Hub.Log.AuthorizationSeenBy("token"), sent => Assert.Equal(header, sent));
    }

    [Fact]
    public async Task Changed_rules_hold_for_the_next_request()
    {
        const string Pull = "access: {rules: [{who: {users: [alice]}, repositories: [\"**\"], actions: [pull]}]}\n";
        var users = PasswordFile.Section(_folder);
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { Hosted = null, More = users + Pull });
        Assert.Equal(HttpStatusCode.Forbidden, await StartPushAsync(registry));
        await registry.ReloadAsync(settings => settings with
        {
            More = users + Pull.Replace("[pull]", "[pull, push]", StringComparison.Ordinal),
        });
        Assert.Equal(HttpStatusCode.Accepted, await StartPushAsync(registry));
        await registry.ReloadAsync(settings => settings with { More = users + Pull });
        Assert.Equal(HttpStatusCode.Forbidden, await StartPushAsync(registry));

        static async Task<HttpStatusCode> StartPushAsync(MirrorProcess registry)
        {
            using var response = await registry.SendAsync(
                HttpMethod.Post, "team/app/blobs/uploads/", ("Authorization", PasswordFile.Basic("alice")));
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task Pulls_notice_nothing_of_reloads_every_tenth_of_which_has_a_mistake()
    {
        var reloads = Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full" ? 1000 : 40;
        var layer = HubBlob.Seeded(1, 200_000);
        var image = Hub.AddImage(Repository, "latest", layer);
        using var stop = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 30).Select(async _ =>
        {
            var pulls = 0;
            do
            {
                using var manifest = await Mirror.GetAsync(ManifestPath("latest"));
                Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
                using var blob = await Mirror.GetAsync(BlobPath(layer.Digest));
                Assert.Equal(layer.Digest, await DigestOfAsync(blob));
                pulls++;
            }
            while (!stop.IsCancellationRequested);
            return pulls;
        }).ToList();
        for (var i = 0; i < reloads; i++)
        {
            var more = i % 10 == 9 ? "  policies: nonsense\n" : $"  policies: [{{match: acme/*, deny: \"{i}\"}}]\n";
            await Mirror.ReloadAsync(settings => settings with { More = more });
        }
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(clients), pulls => Assert.NotEqual(0, pulls));
        using var denied = await Mirror.GetAsync(ManifestPath("latest", "acme/app"));
        Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);
    }
}
