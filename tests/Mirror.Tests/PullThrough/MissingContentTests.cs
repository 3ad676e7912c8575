using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>What upstream refuses is remembered for a moment, so that clients that ask again cost it nothing.</summary>
public sealed class MissingContentTests : MirrorOfHub
{
    private static readonly Digest Missing = Digest.Of("missing"u8);

    // Docker Hub says 401 of a name that does not exist, and clients ask for each a token, by HEAD and by GET.
    [Fact]
    public async Task Unknown_names_cost_one_token_each_and_nothing_when_they_are_asked_for_again()
    {
        Hub.AddImage(Repository, "latest");
        using (var known = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, known.StatusCode);
        Hub.Log.Clear();
        string[] names = ["acme/a", "acme/b", "acme/c", "acme/d"];
        foreach (var name in names)
            await AssertMissingAsync(ManifestPath("latest", name));
        Assert.Equal(names.Length, Hub.Log.Count(Asked.Token));
        Assert.Equal(2 * names.Length, Hub.Log.Count(Asked.Manifest));

        for (var i = 0; i < 10; i++)
            foreach (var name in names)
                await AssertMissingAsync(ManifestPath("latest", name));
        Assert.Equal(3 * names.Length, Hub.Log.Requests.Count);
    }

    public static TheoryData<string> Paths =>
        [$"{Repository}/manifests/missing", $"{Repository}/manifests/{Missing}", $"{Repository}/blobs/{Missing}", "acme/app/tags/list"];

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task What_upstream_lacks_is_not_asked_for_again_by_GET_or_HEAD(string path)
    {
        Hub.AddImage(Repository, "latest");
        await AssertMissingAsync(path);
        Hub.Log.Clear();
        await AssertMissingAsync(path);
        using (var head = await Mirror.HeadAsync(path))
            Assert.Equal(HttpStatusCode.NotFound, head.StatusCode);
        Assert.Empty(Hub.Log.Requests);

        // This says nothing about other content.
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task What_is_pushed_here_is_there_although_it_was_missing_a_moment_before()
    {
        var repository = new PushedRepository(Mirror, "local/app");
        await AssertMissingAsync("local/app/manifests/1");
        var (digest, _) = await repository.PushManifestAsync("1");
        foreach (var reference in new[] { "1", digest.ToString() })
            using (var response = await Mirror.GetAsync($"local/app/manifests/{reference}"))
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    // Each account has its own rights.
    [Fact]
    public async Task What_one_account_may_not_see_another_one_is_asked_for()
    {
        Hub.AsksForTokens = false;
        var image = Hub.AddImage("acme/app", "1");
        Hub.AddImage("acme/busy", "1");
        string Basic(string user) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:canary"));
        Hub.Script(request => request.Origin == "registry" && request.Authorization is null, Answer.By(context =>
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"x\"";
            return Task.CompletedTask;
        }));
        Hub.Script(request => request.Authorization == Basic("ann") && request.Path.Contains("/busy/", StringComparison.Ordinal),
            Answer.TooManyRequests("3600"));
        Hub.Script(request => request.Authorization == Basic("ann"), Answer.NotFound);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $"""
                proxy:
                  remoteurl: {Hub.Url}
                  credentials:
                  - username: ann
                    password: canary
                  - username: bob
                    password: canary

                """,
        });
        using (var response = await mirror.GetAsync($"acme/app/manifests/{image.Digest}"))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        // From now on this repository is requested with the account that may read it.
        Hub.Log.Clear();
        using (var blob = await mirror.GetAsync($"acme/app/blobs/{image.Config.Digest}"))
            Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
        Assert.Equal([Basic("bob")], Hub.Log.AuthorizationSeenBy("registry"));

        // No account finds this one, and the mirror remembers that.
        var none = Digest.Of("none"u8);
        for (var i = 0; i < 2; i++)
            using (var missing = await mirror.GetAsync($"acme/app/manifests/{none}"))
                await AssertErrorAsync(HttpStatusCode.NotFound, missing);
        Assert.Equal(2, Hub.Log.Requests.Count(request => request.Path.Contains(none.ToString(), StringComparison.Ordinal)));
    }

    private async Task AssertMissingAsync(string path)
    {
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }
}

/// <summary>A mirror that is to check its tags for each request does so for missing ones as well.</summary>
public sealed class MissingContentCheckedAlwaysTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "0" };

    [Fact]
    public async Task What_is_pushed_to_upstream_is_there_at_once()
    {
        using (var missing = await Mirror.GetAsync(ManifestPath("latest")))
            await AssertErrorAsync(HttpStatusCode.NotFound, missing);
        Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
