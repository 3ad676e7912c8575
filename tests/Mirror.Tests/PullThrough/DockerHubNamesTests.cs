using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>
/// Rules for Docker Hub only, which the mirror recognizes by its host name. The scripted hub has these names, with TLS, through a proxy.
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

    [Fact]
    public async Task Credentials_go_to_the_token_service_of_docker_hub_and_the_cdn_sees_none()
    {
        var image = Hub.AddImage("acme/secret", "latest", HubBlob.Seeded(1, 1000));
        Hub.Private.Add("acme/secret");
        using var blob = await Mirror.GetAsync(BlobPath(image.Layers[0].Digest, "acme/secret"));
        Assert.Equal(image.Layers[0].Digest, await DigestOfAsync(blob));
        Assert.Single(Hub.Log.AuthorizationSeenBy("token"));
        Assert.Empty(Hub.Log.AuthorizationSeenBy("cdn"));
    }

    [Fact]
    public async Task No_other_host_is_asked()
    {
        Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Cancel));
        Assert.Empty(Hub.Names!.Strangers);
    }

    [Theory]
    [InlineData("docker.io/nginx")]
    [InlineData("index.docker.io/library/nginx")]
    [InlineData("registry-1.docker.io/nginx")]
    public async Task Beside_another_default_upstream_each_of_its_names_in_the_path_leads_to_docker_hub(string name)
    {
        await using var other = await ScriptedHub.StartAsync("127.0.0.2");
        other.AddImage("library/nginx", "latest", HubBlob.Seeded(1, 1000));
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        await using var mirror = await MirrorProcess.StartAsync(Settings(Hub) with
        {
            Upstream = other.Url,
            Username = null,
            Password = null,
            More = $"  upstreams: [{{remoteurl: {Hub.Url}, username: ann, password: canary-7d1f}}]\n",
        });
        using var manifest = await mirror.GetAsync($"{name}/manifests/latest");
        Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
    }

    protected override async Task<ScriptedHub> StartHubAsync()
    {
        var hub = await ScriptedHub.StartUnderItsOwnNamesAsync();
        hub.Account = ("ann", "canary-7d1f");
        return hub;
    }

    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, Environment = hub.Names!.Environment, Username = "ann", Password = "canary-7d1f" };
}
