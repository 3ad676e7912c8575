using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Token services as they are: on other hosts, and with answers that clients written in Go take.</summary>
public sealed class TokenServiceTests : MirrorOfHub
{
    // On another host, as those of docker.elastic.co and lscr.io.
    protected override Task<ScriptedHub> StartHubAsync() => ScriptedHub.StartAsync(tokenAddress: "127.0.0.2");

    [Fact]
    public async Task An_anonymous_token_is_asked_for_on_another_host()
    {
        Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(1, Hub.Log.Count(Asked.Token));
    }

    [Theory]
    [InlineData("""bearer realm="URL",service="x",scope=repository:library/x:pull""")]
    [InlineData("""Bearer realm="URL" , service=x, error=""")]
    [InlineData("""Bearer service="a \"quoted, one\"",realm="URL",scope="repository:library/x:pull,push" """)]
    [InlineData("""Basic realm="x", Bearer realm="URL";x""")]
    [InlineData("""Bearer realm=URL,service=x,scope=repository:library/x:pull""")]
    [InlineData("""Bearer realm="URL",scope=repository:library/x:pull,push,service="x" """)]
    [InlineData("""Bearer realm = "URL" , error=the token expired, service="x""")]
    [InlineData("""Negotiate, Basic, Bearer realm="URL",service="x",scope=repository:library/x:pull""")]
    [InlineData("""Bearer realm="URL",scope=repository:library/x:pull, Basic realm="a, b" """)]
    public async Task A_challenge_is_understood_however_the_registry_writes_it(string challenge)
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(r => r.Asked == Asked.Manifest && r.Authorization is null or "", Answer.By(context =>
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = challenge.Replace("URL", Hub.Realm.ToString(), StringComparison.Ordinal);
            return Task.CompletedTask;
        }));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("""{"token":"","access_token":"T"}""")]
    [InlineData("""{"token":null,"access_token":"T","expires_in":null}""")]
    [InlineData("""{"access_token":"T","token_type":"Bearer","scope":["a"],"refresh_token":7}""")]
    [InlineData("""{"Token":"T","Expires_In":300}""")]
    [InlineData("""{"token":"T","expires_in":"300"}""")]
    [InlineData("""{"token":"T","expires_in":300.5}""")]
    [InlineData("""{"token":"T","expires_in":3e2}""")]
    [InlineData("""{"token":"T","expires_in":1e300}""")]
    [InlineData("""{"token":"T","expires_in":99999999999999999999}""")]
    [InlineData("""{"token":"T","expires_in":0}""")]
    [InlineData("""{"token":"T","expires_in":-1}""")]
    [InlineData("""{"token":"T","expires_in":""}""")]
    [InlineData("""{"token":"T","expires_in":"soon"}""")]
    [InlineData("""{"token":"T","issued_at":"2999-01-01T00:00:00Z","expires_in":300}""")]
    [InlineData("""{"token":"T","issued_at":"yesterday"}""")]
    [InlineData("""{"token":"T"} and more""")]
    [InlineData("\uFEFF{\"token\":\"T\"}")]
    public async Task A_token_is_taken_and_kept_however_the_service_writes_it(string body)
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        Hub.Tokens["T"] = $"repository:{Repository}:pull";
        Hub.Script(Asked.Token, Answer.By(context => context.Response.WriteAsync(body, context.RequestAborted)));
        using var manifest = await Mirror.GetAsync(ManifestPath("latest"));
        using var blob = await Mirror.GetAsync(BlobPath(image.Layers[0].Digest));
        Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
        // Without a lifetime a token lives for a minute.
        Assert.Equal(1, Hub.Log.Count(Asked.Token));
    }

    [Fact]
    public async Task A_token_service_that_redirects_to_itself_is_followed()
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(
            request => request.Asked == Asked.Token && !request.Query.Contains("moved", StringComparison.Ordinal),
            Answer.By(context =>
            {
                context.Response.StatusCode = 307;
                context.Response.Headers.Location = $"{context.Request.Path}{context.Request.QueryString}&moved";
                return Task.CompletedTask;
            }));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(404)]
    public async Task If_the_token_service_moves_the_registry_says_where_to(int status)
    {
        Hub.AddImage(Repository, "latest");
        Hub.AddImage("library/other", "latest");
        using (var first = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Hub.Realm = new Uri($"{Hub.Realm}?moved");
        Hub.Script(
            request => request.Asked == Asked.Token && !request.Query.Contains("moved", StringComparison.Ordinal), Answer.Status(status));

        using var other = await Mirror.GetAsync(ManifestPath("latest", "library/other"));
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
    }

    [Theory]
    [InlineData("""{"token":""}""")]
    [InlineData("""{"expires_in":300}""")]
    [InlineData("""{"token":"a b"}""")]
    [InlineData("[]")]
    [InlineData("<html>")]
    public async Task An_answer_without_a_token_is_no_answer(string body)
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(Asked.Token, Answer.By(context => context.Response.WriteAsync(body, context.RequestAborted)));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    public async Task A_refused_token_without_an_account_is_404(int status)
    {
        Hub.Script(Asked.Token, Answer.Status(status));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }
}

/// <summary>An account whose token service is on a host that may not get it.</summary>
public sealed class ForeignTokenServiceTests : MirrorOfHub
{
    private const string Canary = "canary-5e1d";

    protected override Task<ScriptedHub> StartHubAsync() => ScriptedHub.StartAsync(tokenAddress: "127.0.0.2");

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", Canary);
        return new() { Upstream = hub.Url, Username = "ann", Password = Canary };
    }

    [Fact]
    public async Task It_is_asked_without_the_account()
    {
        Hub.AddImage(Repository, "latest");
        Hub.AddImage("acme/secret", "latest");
        Hub.Private.Add("acme/secret");
        using (var response = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using (var denied = await Mirror.GetAsync(ManifestPath("latest", "acme/secret")))
            await AssertErrorAsync(HttpStatusCode.Forbidden, denied);
        Assert.Empty(Hub.Log.AuthorizationSeenBy("token"));
        await Mirror.UntilLoggedAsync(line => line.Contains("proxy.token_realms", StringComparison.Ordinal));
    }
}

/// <summary>The token service's no to one repository says nothing about the account.</summary>
public sealed class RefusedTokenTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", "one");
        return new()
        {
            More = $"""
                proxy:
                  remoteurl: {hub.Url}
                  credentials:
                  - username: ann
                    password: one
                  - username: bob
                    password: wrong

                """,
        };
    }

    [Theory]
    [InlineData(403)]
    [InlineData(404)]
    public async Task The_account_is_used_for_other_repositories_at_once(int status)
    {
        // Without a limit the first account gets all requests.
        Hub.PullLimit = null;
        Hub.AddImage(Repository, "latest");
        Hub.Script(request => request.Asked == Asked.Token && request.Query.Contains("mistyped", StringComparison.Ordinal),
            Answer.Status(status));
        for (var i = 0; i < 2; i++)
            using (var denied = await Mirror.GetAsync(ManifestPath("latest", "acme/mistyped")))
                await AssertErrorAsync(HttpStatusCode.Forbidden, denied);
        Assert.Equal(1, Hub.Log.Count(Asked.Token));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var ann = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("ann:one"));
        Assert.Equal([ann], Hub.Log.AuthorizationSeenBy("token"));
    }
}

/// <summary>A registry that challenges at <c>/v2/</c> only, and refuses anonymous requests elsewhere.</summary>
public sealed class HiddenChallengeTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", "one");
        return new() { Upstream = hub.Url, Username = "ann", Password = "one" };
    }

    [Theory]
    [InlineData(403)]
    [InlineData(404)]
    public async Task Requests_that_arrive_together_learn_it_once_and_all_succeed(int status)
    {
        string[] names = ["acme/a", "acme/b", "acme/c", "acme/d"];
        foreach (var name in names)
        {
            Hub.AddImage(name, "latest");
            Hub.Private.Add(name);
        }
        var gate = new Gate();
        Hub.Script(Asked.Ping, Answer.HeldBy(gate));
        Hub.Script(request => request.Asked == Asked.Manifest && request.Authorization is null, Answer.Status(status));
        var all = names.Select(name => Mirror.GetAsync(ManifestPath("latest", name))).ToList();
        await gate.Reached;
        await Until.TrueAsync(() => Hub.Log.Requests.Count(request => request.Status == status) == names.Length, Hub.Log.ToString);
        gate.Open();
        Assert.All(await Task.WhenAll(all), response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));
        Assert.Equal(1, Hub.Log.Count(Asked.Ping));
        Assert.All(Hub.Log.Requests.Where(request => request.Asked == Asked.Ping), request => Assert.Null(request.Authorization));
    }

    [Fact]
    public async Task A_registry_that_cannot_be_asked_for_it_is_away_and_asked_the_next_time()
    {
        Hub.AddImage("acme/a", "latest");
        Hub.Script(request => request.Asked == Asked.Manifest && request.Authorization is null, Answer.NotFound);
        using (Hub.Script(Asked.Ping, Answer.Reset))
        using (var away = await Mirror.GetAsync(ManifestPath("latest", "acme/a")))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, away);
        using var response = await Mirror.GetAsync(ManifestPath("latest", "acme/a"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
