using System.Net;
using System.Text;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>The mirror requests each token once and uses it for all clients.</summary>
public sealed class TokenTests : MirrorOfHub
{
    [Fact]
    public async Task One_token_per_scope_is_requested_for_all_clients()
    {
        var blobs = Enumerable.Range(0, 20).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, 1000))).ToList();
        var gate = new Gate();
        Hub.Script(Asked.Token, Answer.HeldBy(gate));
        var all = blobs.Select(b => Mirror.GetAsync(BlobPath(b.Digest))).ToList();
        await gate.Reached;
        gate.Open();
        Assert.All(await Task.WhenAll(all), r => Assert.Equal(HttpStatusCode.OK, r.StatusCode));
        Assert.Equal(1, Hub.Log.Count(Asked.Token));
        Assert.Equal(new Dictionary<string, int> { [$"repository:{Repository}:pull"] = 1 }, Hub.Log.TokensIssued);
    }

    [Fact]
    public async Task A_revoked_token_is_renewed_unnoticed_by_the_client()
    {
        var image = Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.RevokeTokens();
        using var response = await Mirror.GetAsync(BlobPath(image.Config.Digest));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(2, Hub.Log.TokensIssued[$"repository:{Repository}:pull"]);
    }

    [Theory]
    [InlineData(1, HttpStatusCode.OK)]
    [InlineData(int.MaxValue, HttpStatusCode.NotFound)]
    public async Task A_new_token_that_the_registry_refuses_is_renewed_once(int refusals, HttpStatusCode expected)
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(
            request => request.Asked == Asked.Manifest && request.Authorization is not null,
            Answer.By(context => RegistryPort.ChallengeAsync(context, Hub, Repository, "invalid_token")), refusals);
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(expected, response.StatusCode);
        Assert.Equal(2, Hub.Log.TokensIssued[$"repository:{Repository}:pull"]);
    }

    // A front that changes the paths of requests leaves the challenge of the registry behind it as it is.
    [Theory]
    [InlineData("repository:proxy/library/nginx:pull", true)]
    [InlineData("repository:host:5000/library/nginx:pull", true)]
    [InlineData("repository:base:pull repository:library/nginx:pull", true)]
    [InlineData("repository:library/nginx:pull,push", false)]
    [InlineData("registry:catalog:*", false)]
    public async Task A_token_of_the_scope_that_upstream_names_is_requested_if_it_gives_the_right_to_pull(string scope, bool isRequested)
    {
        Hub.AsksForTokens = false;
        Hub.AddImage(Repository, "1");
        Hub.AddImage(Repository, "2", HubBlob.Seeded(1, 10));
        Hub.Script(
            request => request.Asked == Asked.Manifest
                && (request.Authorization is not { } bearer || Hub.Tokens.GetValueOrDefault(bearer["Bearer ".Length..]) != scope),
            Answer.By(context =>
            {
                context.Response.StatusCode = 401;
                context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{Hub.Realm}\",service=\"registry.docker.io\",scope=\"{scope}\"";
                return Task.CompletedTask;
            }));
        foreach (var tag in new[] { "1", "2" })
            using (var response = await Mirror.GetAsync(ManifestPath(tag)))
                Assert.Equal(isRequested ? HttpStatusCode.OK : HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(isRequested ? 1 : 0, Hub.Log.TokensIssued.GetValueOrDefault(scope));
    }

    [Fact]
    public async Task A_token_without_a_lifetime_is_used()
    {
        Hub.TokenLifetime = null;
        Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task An_upstream_that_wants_no_token_gets_none()
    {
        Hub.AsksForTokens = false;
        Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(0, Hub.Log.Count(Asked.Token));
    }

    [Fact]
    public async Task A_clients_own_credentials_are_not_passed_on()
    {
        Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"), ("Authorization", "Basic Y2FuYXJ5OmNhbmFyeQ=="));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.DoesNotContain(Hub.Log.Requests, r => r.Authorization?.Contains("Y2FuYXJ5OmNhbmFyeQ==", StringComparison.Ordinal) is true);
    }
}

/// <summary>Only the upstream's own token service gets the account.</summary>
public sealed class CredentialsTests : MirrorOfHub
{
    private static readonly string Basic = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("ann:canary-7d1f"));

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", "canary-7d1f");
        return new() { Upstream = hub.Url, Username = "ann", Password = "canary-7d1f" };
    }

    [Fact]
    public async Task Only_the_token_service_sees_the_account_and_the_cdn_sees_nothing()
    {
        var image = Hub.AddImage("acme/secret", "latest", HubBlob.Seeded(1, 1000));
        Hub.Private.Add("acme/secret");
        using var manifest = await Mirror.GetAsync(ManifestPath("latest", "acme/secret"));
        using var blob = await Mirror.GetAsync(BlobPath(image.Layers[0].Digest, "acme/secret"));
        Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        Assert.Equal(image.Layers[0].Digest, await DigestOfAsync(blob));
        Assert.Equal([Basic], Hub.Log.AuthorizationSeenBy("token"));
        Assert.All(Hub.Log.AuthorizationSeenBy("registry"), a => Assert.StartsWith("Bearer ", a, StringComparison.Ordinal));
        Assert.Empty(Hub.Log.AuthorizationSeenBy("cdn"));
    }

    [Fact]
    public async Task A_realm_on_another_host_does_not_get_the_account()
    {
        await using var foreign = await ScriptedHub.StartAsync("127.0.0.2");
        Hub.AddImage(Repository, "latest");
        Hub.Realm = foreign.Realm;
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Empty(foreign.Log.AuthorizationSeenBy("token"));
    }

    [Fact]
    public async Task The_password_is_never_logged()
    {
        Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.DoesNotContain(Mirror.Log, l => l.Contains("canary-7d1f", StringComparison.Ordinal));
    }
}
