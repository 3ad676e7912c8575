using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary>The proxy file of registry:2, which has no section <c>hosted</c> and often no <c>auth</c>: nothing can be pushed.</summary>
public sealed class ClosedMirrorTests : MirrorOfHub
{
    private const string Upload = "blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36";

    // The password is "secret".
    private const string Alice = "alice:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    private static readonly HubBlob Layer = HubBlob.Seeded(1, 10_000);

    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, Hosted = null };

    [Theory]
    [InlineData("POST", "blobs/uploads/")]
    [InlineData("POST", "blobs/uploads/?mount=DIGEST&from=library/nginx")]
    [InlineData("POST", "blobs/uploads/?digest=DIGEST")]
    [InlineData("PATCH", Upload)]
    [InlineData("PUT", Upload + "?digest=DIGEST")]
    [InlineData("DELETE", Upload)]
    [InlineData("PUT", "manifests/1")]
    [InlineData("DELETE", "manifests/1")]
    [InlineData("DELETE", "manifests/DIGEST")]
    [InlineData("DELETE", "blobs/DIGEST")]
    public async Task Nothing_can_be_pushed_or_deleted(string method, string path)
    {
        foreach (var name in new[] { "local/app", Repository })
        {
            var repository = new PushedRepository(Mirror, name);
            var target = path.Replace("DIGEST", Digest.Of("x"u8).ToString(), StringComparison.Ordinal);
            using var response = await repository.SendAsync(method, target, "x"u8.ToArray(), PushedRepository.OciManifest);
            await PushedRepository.AssertErrorAsync(response, 405, "UNSUPPORTED");
            // The methods that the settings leave.
            Assert.Equal(method == "POST" ? "OPTIONS" : "GET, HEAD, OPTIONS", PushedRepository.Header(response, "Allow"));
        }
    }

    [Fact]
    public async Task Upstreams_own_repositories_are_not_hidden()
    {
        var image = Hub.AddImage("local/app", "1", Layer);
        using var response = await Mirror.GetAsync(ManifestPath("1", "local/app"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(image.Digest, await DigestOfAsync(response));
    }

    [Fact]
    public async Task The_start_says_what_is_open_to_whom()
    {
        await Mirror.UntilLoggedAsync(line => line.Contains(
            "open to: pulls: every client; pushes: no client (a mirror needs auth or hosted.repositories for that)",
            StringComparison.Ordinal));
        await using var open = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url });
        await open.UntilLoggedAsync(line => line.Contains(
            "open to: pulls: every client; pushes: every client, to local/**; deletes: every client", StringComparison.Ordinal));
        // Only this machine reaches it.
        Assert.DoesNotContain(open.Log, line => line.Contains("without a password", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_user_with_a_password_may_push()
    {
        using var folder = new TempFolder();
        var auth = $"auth: {{htpasswd: {{realm: r, path: {folder.Write("htpasswd", Alice)}}}}}\n";
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, Hosted = null, More = auth });
        var repository = new PushedRepository(mirror, "local/app");
        using (var stranger = await repository.SendAsync("POST", "blobs/uploads/"))
            Assert.Equal(HttpStatusCode.Unauthorized, stranger.StatusCode);
        var login = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("alice:secret"));
        using var response = await repository.SendAsync("POST", "blobs/uploads/", headers: ("Authorization", login));
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
    }
}
