using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>
/// What holds for Docker Hub alone, which the mirror knows by its name. The scripted hub answers to that name by being the machine's HTTP proxy.
/// </summary>
public sealed class DockerHubNamesTests : MirrorOfHub
{
    [Fact]
    public async Task A_bare_name_means_library()
    {
        var image = Hub.AddImage(Repository, "latest");
        using var manifest = await Mirror.GetAsync("nginx/manifests/latest");
        using var blob = await Mirror.GetAsync($"nginx/blobs/{image.Config.Digest}");
        using var tags = await Mirror.GetAsync("nginx/tags/list");
        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK], [manifest.StatusCode, blob.StatusCode, tags.StatusCode]);
        Assert.All(
            Hub.Log.Requests.Where(r => r.Asked is Asked.Manifest or Asked.Blob or Asked.Tags),
            r => Assert.StartsWith($"/v2/{Repository}/", r.Path, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_bare_name_and_its_full_name_are_one_repository()
    {
        Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.Log.Clear();
        using var bare = await Mirror.GetAsync("nginx/manifests/latest");
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(bare));
        Assert.Empty(Hub.Log.Requests);
    }

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.AsksForTokens = false;
        hub.RedirectsBlobs = false;
        return new()
        {
            Upstream = new Uri("http://registry-1.docker.io"),
            Environment = new Dictionary<string, string> { ["http_proxy"] = hub.Url.ToString() },
        };
    }
}
