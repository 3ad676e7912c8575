using System.Net;
using System.Text;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A 401 to one of two accounts: upstream refuses its login, or only one repository to it.</summary>
public sealed class LoginOrRepositoryTests : MirrorOfHub
{
    private static readonly string Ann = Basic("ann:one");
    private static readonly string Bob = Basic("bob:two");

    private static readonly Answer WantsBasic = Answer.By(context =>
    {
        context.Response.StatusCode = 401;
        context.Response.Headers.WWWAuthenticate = "Basic realm=\"x\"";
        return Task.CompletedTask;
    });

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", "one");
        // Without a limit the first account gets all requests.
        hub.PullLimit = null;
        return TwoAccounts(hub);
    }

    [Fact]
    public async Task A_mistyped_name_is_no_refused_login_also_in_the_first_request()
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(request => request.Asked == Asked.Token && request.Query.Contains("mistyped", StringComparison.Ordinal),
            Answer.Status(401));
        foreach (var name in new[] { "acme/mistyped1", "acme/mistyped2" })
            using (var denied = await Mirror.GetAsync(ManifestPath("latest", name)))
                await AssertErrorAsync(HttpStatusCode.Forbidden, denied);
        // Of ann: one for each name, and one without a repository, which was enough for both. Of bob, whose login is wrong, the same for
        // the first name.
        Assert.Equal(5, Hub.Log.Count(Asked.Token));

        Hub.Log.Clear();
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal([Ann], Hub.Log.AuthorizationSeenBy("token"));
        Assert.Equal(1, await Mirror.MetricAsync("mirror_upstream_up"));
        Assert.DoesNotContain(Mirror.Log, IsOfAccount0);
    }

    [Fact]
    public async Task If_a_login_ends_while_the_mirror_runs_the_other_account_is_used()
    {
        string[] names = ["acme/a", "acme/b", "acme/c", "acme/d"];
        foreach (var name in names)
            Hub.AddImage(name, "latest");
        await AssertAsync(Mirror, HttpStatusCode.OK, names[0]);
        Hub.Account = ("bob", "two");
        foreach (var name in names[1..])
            await AssertAsync(Mirror, HttpStatusCode.OK, name);
        await Mirror.UntilLoggedOnceAsync(IsOfAccount0);
    }

    [Fact]
    public async Task If_the_only_login_ends_while_the_mirror_runs_the_log_says_so_and_upstream_is_not_up()
    {
        Hub.AddImage("acme/a", "latest");
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Username = "ann", Password = "one" });
        await AssertAsync(mirror, HttpStatusCode.OK, "acme/a");
        Hub.Account = ("ann", "changed");
        await AssertAsync(mirror, HttpStatusCode.ServiceUnavailable, "acme/b");
        await mirror.UntilLoggedOnceAsync(line => line.Contains("level=error", StringComparison.Ordinal) && IsOfAccount0(line));
        Assert.Equal(0, await mirror.MetricAsync("mirror_upstream_up"));
    }

    [Fact]
    public async Task If_a_service_gives_no_token_without_a_repository_the_other_account_is_tried()
    {
        Hub.AddImage("acme/a", "latest");
        Hub.Script(request => request.Asked == Asked.Token && !request.Query.Contains("scope", StringComparison.Ordinal),
            Answer.Status(400));
        Hub.Account = ("bob", "two");
        await AssertAsync(Mirror, HttpStatusCode.OK, "acme/a");
        Hub.Script(request => request.Asked == Asked.Token && request.Query.Contains("mistyped", StringComparison.Ordinal),
            Answer.Status(401));
        await AssertAsync(Mirror, HttpStatusCode.Forbidden, "acme/mistyped");
        await AssertAsync(Mirror, HttpStatusCode.OK, "acme/a");
    }

    [Fact]
    public async Task While_the_other_account_is_at_its_limit_the_first_refusal_is_not_the_answer()
    {
        Hub.AddImage("acme/a", "latest");
        Hub.Script(request => request.Asked == Asked.Token && !request.Query.Contains("scope", StringComparison.Ordinal),
            Answer.Status(400));
        Hub.Account = ("bob", "two");
        Hub.Script(request => request.Asked == Asked.Token && request.Authorization == Bob, Answer.TooManyRequests("60"));
        await AssertAsync(Mirror, HttpStatusCode.TooManyRequests, "acme/a");
        await AssertAsync(Mirror, HttpStatusCode.TooManyRequests, "acme/a");
    }

    [Theory]
    [InlineData(400)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(503)]
    public async Task If_a_service_gives_no_token_without_a_repository_a_mistyped_name_is_no_refused_login(int status)
    {
        Hub.AddImage("acme/a", "latest");
        Hub.Script(request => request.Asked == Asked.Token && !request.Query.Contains("scope", StringComparison.Ordinal),
            Answer.Status(status));
        Hub.Script(request => request.Asked == Asked.Token && request.Query.Contains("mistyped", StringComparison.Ordinal),
            Answer.Status(401));
        await AssertAsync(Mirror, HttpStatusCode.Forbidden, "acme/mistyped");
        Hub.Log.Clear();
        // The refusal is remembered.
        await AssertAsync(Mirror, HttpStatusCode.Forbidden, "acme/mistyped");
        Assert.Equal(0, Hub.Log.Count(Asked.Token));

        await AssertAsync(Mirror, HttpStatusCode.OK, "acme/a");
        Assert.Equal([Ann], Hub.Log.AuthorizationSeenBy("token"));
        Assert.Equal(1, await Mirror.MetricAsync("mirror_upstream_up"));
        Assert.DoesNotContain(Mirror.Log, IsOfAccount0);
    }

    [Fact]
    public async Task Without_a_token_service_a_root_that_does_not_tell_is_no_proof_against_a_login()
    {
        Hub.AsksForTokens = false;
        Hub.AddImage("acme/a", "latest");
        Hub.Script(Asked.Ping, Answer.NotFound);
        Hub.Script(
            request => request.Authorization is null || request.Path.Contains("mistyped", StringComparison.Ordinal), WantsBasic);
        await AssertAsync(Mirror, HttpStatusCode.Forbidden, "acme/mistyped");
        Hub.Log.Clear();
        await AssertAsync(Mirror, HttpStatusCode.OK, "acme/a");
        Assert.Equal([Ann], Hub.Log.AuthorizationSeenBy("registry"));
        Assert.DoesNotContain(Mirror.Log, IsOfAccount0);
    }

    [Fact]
    public async Task Without_a_token_service_the_root_of_the_registry_tells()
    {
        Hub.AsksForTokens = false;
        Hub.AddImage("acme/a", "latest");
        Hub.AddImage("acme/b", "latest");
        Hub.Script(request => request.Origin == "registry" && request.Authorization != Bob, WantsBasic);
        Hub.Script(request => request.Asked == Asked.Manifest && request.Path.Contains("mistyped", StringComparison.Ordinal),
            Answer.Status(401));
        await AssertAsync(Mirror, HttpStatusCode.OK, "acme/a");
        await Mirror.UntilLoggedOnceAsync(IsOfAccount0);
        await AssertAsync(Mirror, HttpStatusCode.Forbidden, "acme/mistyped");
        await AssertAsync(Mirror, HttpStatusCode.OK, "acme/b");
        Assert.Equal(1, await Mirror.MetricAsync("mirror_upstream_up"));
        Assert.DoesNotContain(Mirror.Log, line => line.Contains("refuses the login of account 1", StringComparison.Ordinal));
    }

    private static string Basic(string login) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(login));

    private static bool IsOfAccount0(string line) => line.Contains("refuses the login of account 0", StringComparison.Ordinal);

    private static async Task AssertAsync(MirrorProcess mirror, HttpStatusCode status, string name)
    {
        using var response = await mirror.GetAsync(ManifestPath("latest", name));
        Assert.Equal((name, status), (name, response.StatusCode));
    }

    private static MirrorSettings TwoAccounts(ScriptedHub hub) => new()
    {
        More = $"""
            proxy:
              remoteurl: {hub.Url}
              credentials:
              - username: ann
                password: one
              - username: bob
                password: two

            """,
    };
}
