using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
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

    // Clients in Go cannot ask such a token service either.
    [Theory]
    [InlineData("/token")]
    [InlineData("//127.0.0.1:5000/token")]
    [InlineData("'http://127.0.0.1/token'")]
    public async Task A_token_service_without_a_whole_address_is_an_error_that_says_so(string realm)
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(r => r.Asked == Asked.Manifest, Answer.By(context =>
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{realm}\",service=\"x\"";
            return Task.CompletedTask;
        }));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await response.Content.LoadIntoBufferAsync(Cancel);
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.Contains("names a token service", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
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
        return new() { Upstream = hub.Url, Username = "ann", Password = Canary, TagsCacheTtl = "0" };
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

    [Theory]
    [InlineData(404)]
    [InlineData(410)]
    public async Task A_404_to_a_request_without_the_account_deletes_nothing(int status)
    {
        Hub.AddImage(Repository, "latest");
        (await Mirror.GetAsync(ManifestPath("latest"))).Dispose();
        // Only the account may read it from now on.
        Hub.Script(Asked.Manifest, Answer.Status(status));
        using (var missing = await Mirror.GetAsync(ManifestPath("missing")))
            await AssertErrorAsync(HttpStatusCode.NotFound, missing);
        for (var i = 0; i < 2; i++)
        {
            using var stale = await Mirror.GetAsync(ManifestPath("latest"));
            Assert.Equal((HttpStatusCode.OK, CacheAnswer.Stale), (stale.StatusCode, CacheAnswer.Of(stale)));
        }
    }

    // Registries without the referrers API answer 404 to all.
    [Fact]
    public async Task Without_the_referrers_API_the_fallback_tag_is_asked_for()
    {
        var signature = AddFallbackTag(Hub, Repository, Digest.Of("subject"u8));
        using var response = await Mirror.GetAsync($"{Repository}/referrers/{Digest.Of("subject"u8)}");
        Assert.Equal((HttpStatusCode.OK, CacheAnswer.Miss), (response.StatusCode, CacheAnswer.Of(response)));
        Assert.Contains($"{signature}", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    /// <summary>Gives a subject one referrer, at a registry that has no referrers API.</summary>
    internal static Digest AddFallbackTag(ScriptedHub hub, string repository, Digest subject)
    {
        var signature = Digest.Of("signature"u8);
        var index = $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[
            {"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{signature}}","size":9}]}
            """;
        hub.AddManifest(repository, $"sha256-{subject.Hex}", MediaTypes.OciIndex, Encoding.UTF8.GetBytes(index));
        hub.Script(request => request.Path.Contains("/referrers/", StringComparison.Ordinal), Answer.NotFound);
        return signature;
    }
}

/// <summary>A token service that redirects to another host, which does not get the account.</summary>
public sealed class MovedTokenServiceTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", "one");
        return new() { Upstream = hub.Url, Username = "ann", Password = "one", TagsCacheTtl = "0" };
    }

    [Fact]
    public async Task A_404_to_a_token_that_is_not_of_the_account_deletes_nothing()
    {
        await using var other = await ScriptedHub.StartAsync("127.0.0.2");
        Hub.AddImage(Repository, "latest");
        (await Mirror.GetAsync(ManifestPath("latest"))).Dispose();
        Hub.RevokeTokens();
        Hub.Script(Asked.Token, Answer.By(context =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = $"{other.Realm}{context.Request.QueryString}";
            return Task.CompletedTask;
        }));
        other.Script(Asked.Token, Answer.By(context =>
        {
            Hub.Tokens["anonymous"] = $"repository:{Repository}:pull";
            return context.Response.WriteAsync("""{"token":"anonymous"}""", context.RequestAborted);
        }));
        Hub.Script(request => request.Asked == Asked.Manifest && request.Authorization is "Bearer anonymous", Answer.NotFound);

        using var stale = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal((HttpStatusCode.OK, CacheAnswer.Stale), (stale.StatusCode, CacheAnswer.Of(stale)));
        Assert.Empty(other.Log.AuthorizationSeenBy("token"));
        Assert.NotEqual(0, other.Log.Count(Asked.Token));
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
        // One of each account. The refusal is remembered.
        Assert.Equal(2, Hub.Log.Count(Asked.Token));
        Hub.Log.Clear();
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

    [Theory]
    [InlineData(503, HttpStatusCode.ServiceUnavailable)]
    [InlineData(403, HttpStatusCode.ServiceUnavailable)]
    // A registry without "/v2/".
    [InlineData(404, HttpStatusCode.NotFound)]
    [InlineData(410, HttpStatusCode.NotFound)]
    [InlineData(429, HttpStatusCode.TooManyRequests)]
    public async Task While_it_cannot_be_learnt_a_404_deletes_nothing_and_is_not_remembered(int status, HttpStatusCode expected)
    {
        Hub.AddImage("acme/a", "latest");
        var other = Hub.AddImage("acme/b", "latest");
        Hub.Script(
            request => request.Origin == "registry" && request.Asked != Asked.Ping && request.Authorization is null, Answer.NotFound);
        (await Mirror.GetAsync(ManifestPath("latest", "acme/a"))).Dispose();
        await Mirror.StopAsync();
        await Mirror.StartAgainAsync();
        using (Hub.Script(Asked.Ping, Answer.Status(status, retryAfter: status == 429 ? "30" : null)))
        {
            using (var stale = await Mirror.GetAsync(ManifestPath("latest", "acme/a")))
                Assert.Equal((HttpStatusCode.OK, CacheAnswer.Stale), (stale.StatusCode, CacheAnswer.Of(stale)));
            using (var manifest = await Mirror.GetAsync(ManifestPath("latest", "acme/b")))
                await AssertErrorAsync(expected, manifest);
            using (var blob = await Mirror.GetAsync(BlobPath(other.Config.Digest, "acme/b")))
                await AssertErrorAsync(expected, blob);
        }
        // After a 429 "/v2/" is not asked again for some time, and after a 503 the breaker may be open.
        if (status is 403 or 404 or 410)
            using (var known = await Mirror.GetAsync(ManifestPath("latest", "acme/b")))
                Assert.Equal(HttpStatusCode.OK, known.StatusCode);
        await Hub.Registry.TakeDownAsync();
        using var stored = await Mirror.GetAsync(ManifestPath("latest", "acme/a"));
        Assert.Equal(HttpStatusCode.OK, stored.StatusCode);
    }

    [Fact]
    public async Task Without_a_root_and_without_the_referrers_API_the_fallback_tag_is_asked_for()
    {
        Hub.AsksForTokens = false;
        Hub.Script(Asked.Ping, Answer.NotFound);
        var signature = ForeignTokenServiceTests.AddFallbackTag(Hub, Repository, Digest.Of("subject"u8));
        using var response = await Mirror.GetAsync($"{Repository}/referrers/{Digest.Of("subject"u8)}");
        Assert.Equal((HttpStatusCode.OK, CacheAnswer.Miss), (response.StatusCode, CacheAnswer.Of(response)));
        Assert.Contains($"{signature}", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_429_to_the_question_for_it_pauses_no_account()
    {
        Hub.AddImage("acme/a", "latest");
        Hub.AddImage("library/open", "latest");
        Hub.AsksForTokens = false;
        Hub.Script(request => request.Path.StartsWith("/v2/acme/", StringComparison.Ordinal), Answer.NotFound);
        Hub.Script(Asked.Ping, Answer.TooManyRequests("60"));
        for (var i = 0; i < 2; i++)
            using (var limited = await Mirror.GetAsync(ManifestPath("latest", "acme/a")))
                await AssertErrorAsync(HttpStatusCode.TooManyRequests, limited);
        Assert.Equal(1, Hub.Log.Count(Asked.Ping));
        using var open = await Mirror.GetAsync(ManifestPath("latest", "library/open"));
        Assert.Equal(HttpStatusCode.OK, open.StatusCode);
    }

    [Fact]
    public async Task An_open_repository_does_not_make_the_mirror_forget_it_while_the_token_service_is_away()
    {
        foreach (var name in new[] { "acme/a", "acme/b", "library/open" })
            Hub.AddImage(name, "latest");
        Hub.AsksForTokens = false;
        Hub.Script(request => request.Asked == Asked.Ping && request.Authorization is null, Answer.RefusedDespiteToken);
        Hub.Script(
            request => request.Path.StartsWith("/v2/acme/", StringComparison.Ordinal) && request.Authorization is null, Answer.NotFound);
        (await Mirror.GetAsync(ManifestPath("latest", "acme/a"))).Dispose();
        using (Hub.Script(Asked.Token, Answer.Status(404)))
        using (var open = await Mirror.GetAsync(ManifestPath("latest", "library/open")))
            Assert.Equal(HttpStatusCode.OK, open.StatusCode);

        using var response = await Mirror.GetAsync(ManifestPath("latest", "acme/b"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task A_registry_that_wants_no_login_any_more_is_asked_for_no_tokens()
    {
        foreach (var name in new[] { "acme/a", "acme/b", "acme/c" })
            Hub.AddImage(name, "latest");
        (await Mirror.GetAsync(ManifestPath("latest", "acme/a"))).Dispose();
        Hub.AsksForTokens = false;
        Hub.Script(Asked.Token, Answer.Status(404));
        using (var first = await Mirror.GetAsync(ManifestPath("latest", "acme/b")))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Hub.Log.Clear();
        using (var second = await Mirror.GetAsync(ManifestPath("latest", "acme/c")))
            Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        using (var missing = await Mirror.GetAsync(ManifestPath("missing", "acme/c")))
            await AssertErrorAsync(HttpStatusCode.NotFound, missing);
        Assert.Equal(0, Hub.Log.Count(Asked.Token));
    }

    [Fact]
    public async Task A_registry_that_wants_no_login_may_say_404()
    {
        Hub.AsksForTokens = false;
        Hub.AddImage("acme/a", "latest");
        foreach (var tag in new[] { "one", "two" })
            using (var missing = await Mirror.GetAsync(ManifestPath(tag, "acme/a")))
                await AssertErrorAsync(HttpStatusCode.NotFound, missing);
    }
}
