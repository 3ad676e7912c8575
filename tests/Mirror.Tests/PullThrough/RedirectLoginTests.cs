using System.Net;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>An address that upstream redirects to may name a user and a password. They go to this host, and nowhere else.</summary>
public sealed class RedirectLoginTests : MirrorOfHub
{
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 20_000);
    private static readonly string Login = $"Basic {Convert.ToBase64String("us er:p@w"u8)}";

    [Fact]
    public async Task The_host_of_the_address_gets_its_login_and_the_letters_of_the_path_stay()
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(Asked.Blob, Answer.Redirect($"http://us%20er:p%40w@{Hub.Cdn.Authority}/%7edata?a=@%2f"));
        Hub.Script(Asked.BlobBytes, Bytes());
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
        var asked = Hub.Log.Requests.Where(request => request.Origin == "cdn").ToList();
        Assert.All(asked, request => Assert.Equal(("?a=@%2f", Login), (request.Query, request.Authorization)));
        Assert.DoesNotContain(Login, Hub.Log.AuthorizationSeenBy("registry"));
        AssertHidden();
    }

    [Fact]
    public async Task The_next_host_does_not_get_the_login_and_the_same_host_does()
    {
        await using var other = await ScriptedHub.StartAsync("127.0.0.2");
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(Asked.Blob, Answer.Redirect($"http://us%20er:p%40w@{Hub.Cdn.Authority}/first"));
        Hub.Script(request => request.Path == "/first", Answer.Redirect("/second"));
        Hub.Script(request => request.Path == "/second", Answer.Redirect($"{other.Cdn.Url}third"));
        other.Script(Asked.BlobBytes, Bytes());
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
        Assert.All(Hub.Log.Requests.Where(request => request.Origin == "cdn"), request => Assert.Equal(Login, request.Authorization));
        Assert.NotEmpty(other.Log.Requests);
        Assert.Empty(other.Log.AuthorizationSeenBy("cdn"));
    }

    [Fact]
    public async Task An_error_of_that_host_does_not_show_the_login()
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(Asked.Blob, Answer.Redirect($"http://us%20er:p%40w@{Hub.Cdn.Authority}/first"));
        Hub.Script(Asked.BlobBytes, Answer.Status(500));
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.DoesNotContain("p%40w", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        AssertHidden();
    }

    private void AssertHidden() => Assert.DoesNotContain(
        Mirror.Log, line => line.Contains("p%40w", StringComparison.Ordinal) || line.Contains("p@w", StringComparison.Ordinal));

    private static Answer Bytes() => Answer.By(async context =>
    {
        context.Response.ContentLength = Layer.Size;
        await context.Response.Body.WriteAsync(Layer.Slice(0, Layer.Size), context.RequestAborted);
    });
}
