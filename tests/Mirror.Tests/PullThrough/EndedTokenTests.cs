using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A token that the registry refuses before its time, in the ways of several registries.</summary>
public sealed class EndedTokenTests : MirrorOfHub
{
    private static readonly string Scope = $"repository:{Repository}:pull";

    protected override MirrorSettings Settings(ScriptedHub hub) => base.Settings(hub) with { TagsCacheTtl = "0" };

    [Theory]
    [InlineData(401, null)]
    [InlineData(401, "Bearer error=\"invalid_token\",error_description=\"expired\"")]
    [InlineData(401, "Bearer realm=\"/token\",error=\"invalid_token\"")]
    // Harbor, to a request that has a token.
    [InlineData(401, "Basic realm=\"harbor\"")]
    // Amazon ECR.
    [InlineData(403, null)]
    [InlineData(400, null)]
    public async Task It_is_renewed_however_the_registry_refuses_it(int status, string? challenge)
    {
        var image = Hub.AddImage(Repository, "latest");
        RefuseEndedTokens(Hub, status, challenge);
        for (var i = 1; i < 4; i++)
        {
            using (var manifest = await Mirror.GetAsync(ManifestPath("latest")))
                Assert.Equal(
                    (HttpStatusCode.OK, i == 1 ? CacheAnswer.Miss : CacheAnswer.Revalidated),
                    (manifest.StatusCode, CacheAnswer.Of(manifest)));
            Assert.Equal(i, Hub.Log.TokensIssued[Scope]);
            Hub.RevokeTokens();
        }
        using var blob = await Mirror.GetAsync(BlobPath(image.Config.Digest));
        Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
        Assert.Equal(4, Hub.Log.TokensIssued[Scope]);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task A_download_that_is_resumed_renews_it(int status)
    {
        Hub.RedirectsBlobs = false;
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, 1_000_000));
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(500_000));
        Hub.Script(
            request => request is { Asked: Asked.Blob, Range: not null },
            Answer.By(context =>
            {
                Hub.RevokeTokens();
                context.Response.StatusCode = status;
                return Task.CompletedTask;
            }),
            times: 1);
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
        Assert.Equal((HttpStatusCode.OK, blob.Digest), (response.StatusCode, await DigestOfAsync(response)));
        Assert.Equal(2, Hub.Log.TokensIssued[Scope]);
    }

    [Theory]
    [InlineData(400, HttpStatusCode.ServiceUnavailable)]
    [InlineData(403, HttpStatusCode.NotFound)]
    public async Task Refusals_that_are_not_about_the_token_cost_one_more_token_and_no_second_one(int status, HttpStatusCode expected)
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(request => request.Path.Contains("manifests/refused", StringComparison.Ordinal), Answer.Status(status));
        foreach (var tag in new[] { "latest", "refused1", "latest", "refused2", "refused3", "latest" })
            using (var response = await Mirror.GetAsync(ManifestPath(tag)))
                Assert.Equal((tag, tag == "latest" ? HttpStatusCode.OK : expected), (tag, response.StatusCode));
        Assert.Equal(2, Hub.Log.TokensIssued[Scope]);
        // The mirror has none.
        Assert.DoesNotContain(Mirror.Log, line => line.Contains("check the account", StringComparison.Ordinal));
    }

    [Fact]
    public async Task If_its_token_service_has_moved_the_registry_says_where_to()
    {
        var image = Hub.AddImage(Repository, "latest");
        RefuseEndedTokens(Hub, 401, "Basic realm=\"harbor\"");
        (await Mirror.GetAsync(ManifestPath("latest"))).Dispose();
        Hub.RevokeTokens();
        Hub.Realm = new Uri($"{Hub.Realm}?moved");
        Hub.Script(
            request => request.Asked == Asked.Token && !request.Query.Contains("moved", StringComparison.Ordinal), Answer.Status(500));
        using var blob = await Mirror.GetAsync(BlobPath(image.Config.Digest));
        Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
    }

    // The 401 of ghcr.io to "/v2/" names "repository:user/image:pull".
    [Theory]
    [InlineData(1)]
    [InlineData(int.MaxValue)]
    public async Task A_scope_that_a_refusal_names_is_remembered_only_if_its_token_is_accepted(int refusals)
    {
        const string placeholder = "repository:user/image:pull";
        Hub.AsksForTokens = false;
        Hub.AddImage(Repository, "1");
        Hub.AddImage(Repository, "2", HubBlob.Seeded(1, 10));
        var challenge = Answer.By(context =>
            WriteAsync(context, 401, $"Bearer realm=\"{Hub.Realm}\",service=\"registry.docker.io\",scope=\"{placeholder}\""));
        bool IsUsual(HubRequest request) =>
            request.Authorization is { } bearer && Hub.Tokens.GetValueOrDefault(bearer["Bearer ".Length..]) == Scope;
        Hub.Script(request => request.Asked == Asked.Manifest && !IsUsual(request), challenge);
        using (Hub.Script(request => request.Asked == Asked.Manifest && IsUsual(request), challenge, refusals))
        using (var first = await Mirror.GetAsync(ManifestPath("1")))
            Assert.Equal(refusals == 1 ? HttpStatusCode.OK : HttpStatusCode.NotFound, first.StatusCode);
        using (var second = await Mirror.GetAsync(ManifestPath("2")))
            Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal(
            (2, refusals == 1 ? 0 : 1), (Hub.Log.TokensIssued[Scope], Hub.Log.TokensIssued.GetValueOrDefault(placeholder)));
    }

    /// <summary>From now on this is the registry's answer to a header <c>Authorization</c> that is no token of the hub.</summary>
    internal static void RefuseEndedTokens(ScriptedHub hub, int status, string? challenge) => hub.Script(
        request => request.Origin == "registry" && request.Authorization is { } sent
            && !hub.Tokens.ContainsKey(sent[(sent.IndexOf(' ', StringComparison.Ordinal) + 1)..]),
        Answer.By(context => WriteAsync(context, status, challenge)));

    internal static Task WriteAsync(HttpContext context, int status, params string?[] challenges)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.WWWAuthenticate = challenges;
        return Task.CompletedTask;
    }
}

/// <summary>As <see cref="EndedTokenTests"/>, with an account: a challenge of the scheme Basic may be meant, or not.</summary>
public sealed class EndedTokenOfAccountTests : MirrorOfHub
{
    private const string Harbor = "Basic realm=\"harbor\"";

    private static readonly string Ann = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("ann:one"));

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", "one");
        return new() { Upstream = hub.Url, Username = "ann", Password = "one", TagsCacheTtl = "0" };
    }

    [Fact]
    public async Task A_registry_that_takes_tokens_only_gets_a_new_one_although_it_answers_Basic()
    {
        var image = Hub.AddImage(Repository, "latest");
        EndedTokenTests.RefuseEndedTokens(Hub, 401, Harbor);
        (await Mirror.GetAsync(ManifestPath("latest"))).Dispose();
        Hub.RevokeTokens();
        using var blob = await Mirror.GetAsync(BlobPath(image.Config.Digest));
        Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
        Assert.All(Hub.Log.AuthorizationSeenBy("registry"), sent => Assert.StartsWith("Bearer ", sent, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_repository_that_such_a_registry_refuses_is_no_refused_login()
    {
        Hub.AddImage(Repository, "latest");
        Hub.AddImage("acme/secret", "latest");
        EndedTokenTests.RefuseEndedTokens(Hub, 401, Harbor);
        Hub.Script(
            request => request.Path.Contains("acme/secret", StringComparison.Ordinal) && request.Authorization is not null,
            Answer.By(context => EndedTokenTests.WriteAsync(context, 401, Harbor)));
        using (var denied = await Mirror.GetAsync(ManifestPath("latest", "acme/secret")))
            await AssertErrorAsync(HttpStatusCode.Forbidden, denied);
        Hub.Log.Clear();
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        // It knows the token service still.
        Assert.DoesNotContain(Hub.Log.Requests, request => request.Origin == "registry" && request.Authorization is null);
        Assert.DoesNotContain(Mirror.Log, line => line.Contains("refuses the login", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_registry_that_has_changed_to_Basic_gets_the_login_from_then_on()
    {
        var image = Hub.AddImage(Repository, "latest");
        (await Mirror.GetAsync(ManifestPath("latest"))).Dispose();
        Hub.AsksForTokens = false;
        Hub.Script(
            request => request.Origin == "registry" && request.Authorization != Ann,
            Answer.By(context => EndedTokenTests.WriteAsync(context, 401, "Basic realm=\"x\"")));
        using (var blob = await Mirror.GetAsync(BlobPath(image.Config.Digest)))
            Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
        Hub.Log.Clear();
        using var manifest = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal((HttpStatusCode.OK, CacheAnswer.Revalidated), (manifest.StatusCode, CacheAnswer.Of(manifest)));
        Assert.Equal([Ann], Hub.Log.AuthorizationSeenBy("registry"));
        Assert.Empty(Hub.Log.AuthorizationSeenBy("cdn"));
    }

    // Nexus, and a realm without a host, which is a file's address on Linux.
    [Theory]
    [InlineData("null://nexus/v2/token")]
    [InlineData("/v2/token")]
    [InlineData("nexus")]
    [InlineData("//127.0.0.1:5000/token")]
    public async Task Beside_a_token_service_that_cannot_be_asked_Basic_is_answered(string realm)
    {
        Hub.AsksForTokens = false;
        Hub.AddImage(Repository, "latest");
        Hub.Script(
            request => request.Origin == "registry" && request.Authorization != Ann,
            Answer.By(context => EndedTokenTests.WriteAsync(
                context, 401, $"Bearer realm=\"{realm}\",service=\"{realm}\"", "BASIC realm=\"Sonatype Nexus Repository Manager\"")));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
