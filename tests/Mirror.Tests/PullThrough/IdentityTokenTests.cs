using System.Net;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>An account whose secret is an identity token, as some credential helpers print it (Docker's "Authenticate with
/// OAuth2").</summary>
public sealed class IdentityTokenTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) =>
        base.Settings(hub) with { Username = "<token>", Password = "an identity" };

    [Fact]
    public async Task An_identity_token_is_posted_to_the_token_service()
    {
        Hub.AddImage(Repository, "latest");
        Hub.Tokens["T"] = $"repository:{Repository}:pull";
        IFormCollection? form = null;
        string? authorization = null;
        Hub.Script(Asked.Token, Answer.By(async context =>
        {
            authorization = context.Request.Headers.Authorization.ToString();
            form = await context.Request.ReadFormAsync(context.RequestAborted);
            await context.Response.WriteAsync("""{"access_token":"T"}""", context.RequestAborted);
        }));

        using var response = await Mirror.GetAsync(ManifestPath("latest"));

        Assert.Equal((HttpStatusCode.OK, ""), (response.StatusCode, authorization));
        Assert.Equal(
            ("refresh_token", "an identity", $"repository:{Repository}:pull", "registry.docker.io"),
            (form!["grant_type"].ToString(), form["refresh_token"].ToString(), form["scope"].ToString(), form["service"].ToString()));
    }

    [Fact]
    public async Task A_refused_identity_token_is_a_refused_login()
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(Asked.Token, Answer.Status(400, "invalid_grant"));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        // Not 404: the image may exist.
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }
}
