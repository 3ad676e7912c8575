using System.Net;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary><c>proxy.private: client</c>, and two private repositories with one layer.</summary>
public sealed class SharedPrivateLayerTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) => new()
    {
        Upstream = hub.Url,
        Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_PRIVATE"] = "client" },
    };

    [Fact]
    public async Task A_download_goes_on_with_the_login_of_the_client_whose_repository_is_asked()
    {
        Hub.Account = ("alice", PasswordFile.Password);
        Hub.Private.Add("acme/one");
        Hub.Private.Add("acme/two");
        var blob = Hub.AddBlob("acme/one", Hub.AddBlob("acme/two", HubBlob.Seeded(61, 1 << 20)));
        var (login, gate) = (("Authorization", PasswordFile.Basic("alice")), new Gate());
        Hub.Script(
            request => request is { Asked: Asked.Blob, Method: "GET" }
                && request.Path.StartsWith("/v2/acme/one/", StringComparison.Ordinal),
            Answer.By(async http =>
            {
                await gate.PassAsync(http.RequestAborted);
                http.Response.StatusCode = 404;
            }));
        var first = Mirror.GetAsync(BlobPath(blob.Digest, "acme/one"), login);
        await gate.Reached;
        var second = Mirror.GetAsync(BlobPath(blob.Digest, "acme/two"), login);
        // The second client has proved its right, and waits for the download.
        await Until.TrueAsync(
            () => Hub.Log.Requests.Any(
                request => request is { Asked: Asked.Blob, Method: "HEAD", Status: 200 }
                    && request.Path.StartsWith("/v2/acme/two/", StringComparison.Ordinal)),
            () => Hub.Log.ToString());
        gate.Open();

        using (var refused = await first)
            Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        using var served = await second;
        Assert.True(served.StatusCode == HttpStatusCode.OK, $"{served.StatusCode}\n{Hub.Log}");
        Assert.Equal(blob.Digest, await DigestOfAsync(served));
    }
}
