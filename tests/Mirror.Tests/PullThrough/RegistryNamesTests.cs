using System.Net;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>
/// Clients name the registry of an image beside its repository (OCI distribution-spec 1.1.1, "Registry Proxying"), or in its path. The
/// right registry answers, and never another one that has a repository of the same name.
/// </summary>
public sealed class RegistryNamesTests
{
    private const string WithPort = "registry.example:5000";

    private readonly TestImage _image = TestImage.Create(seed: 60, layers: 2);

    [Theory]
    [InlineData("ghcr.io", "ghcr.io")]
    [InlineData(WithPort, WithPort)]
    [InlineData(WithPort, "registry.example")]
    public async Task Containerd_pulls_from_a_further_upstream(string registry, string configured)
    {
        Containerd.Availability.OrSkip();
        await using var upstream = await PushedAsync();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("owner/app", "1", HubBlob.Seeded(61, 1000));
        await using var mirror = await MirrorOfTwoAsync(hub, upstream, configured);
        await using var containerd = await Containerd.StartAsync(mirror.Url, registry);
        hub.Log.Clear();
        await containerd.PullAsync($"{registry}/owner/app:1");
        Assert.Empty(hub.Log.Requests);
        Assert.Contains(_image.Digest.ToString(), await containerd.RunAsync("images", "ls"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Skopeo_pulls_from_a_further_upstream()
    {
        await using var upstream = await PushedAsync();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorOfTwoAsync(hub, upstream, "ghcr.io");
        using var skopeo = new Skopeo($"{mirror.Authority}/ghcr.io", "ghcr.io");
        hub.Log.Clear();
        await AssertPulledAsync(skopeo, "ghcr.io/owner/app:1");
        Assert.Empty(hub.Log.Requests);
    }

    [Fact]
    public async Task Skopeo_pulls_by_another_name_from_the_mirror_of_one_registry()
    {
        await using var upstream = await PushedAsync();
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        using var skopeo = new Skopeo(mirror.Authority, "quay.io");
        await AssertPulledAsync(skopeo, "quay.io/owner/app:1");
    }

    [Theory]
    [InlineData(WithPort, false)]
    [InlineData(WithPort, true)]
    [InlineData("ghcr.io", true)]
    public async Task Containerd_pushes_by_a_registrys_name_and_pulls_right_after(string registry, bool isMirror)
    {
        Containerd.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var source = await MirrorProcess.StartAsync(hub.Url);
        await using var mirror = await MirrorProcess.StartAsync(
            isMirror ? new MirrorSettings { Upstream = hub.Url, More = "  name: docker.io\n" } : new MirrorSettings());
        await using var containerd = await Containerd.StartAsync(mirror.Url, registry);
        await containerd.RunAsync("images", "pull", "--plain-http", $"{source.Authority}/library/hello:1");
        var image = $"{registry}/local/hello:1";
        await containerd.RunAsync("images", "tag", $"{source.Authority}/library/hello:1", image);
        await containerd.PushAsync(image);
        await containerd.RemoveAsync(image);
        await containerd.RemoveAsync($"{source.Authority}/library/hello:1");
        await containerd.PullAsync(image);
    }

    /// <summary>What BuildKit 0.20 and regctl 0.8 send to a registry that stands for another one: every request names that one.</summary>
    [Theory]
    [InlineData("ns=registry.example:5000", false)]
    [InlineData("ns=registry.example%3A5000", true)]
    [InlineData("ns=registry-1.docker.io", true)]
    [InlineData("ns=Docker.IO", true)]
    [InlineData("ns=", true)]
    public async Task Every_request_of_a_push_and_a_pull_may_name_a_registry(string ns, bool isMirror)
    {
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(
            isMirror ? new MirrorSettings { Upstream = hub.Url, More = "  name: docker.io\n" } : new MirrorSettings());
        var repository = new PushedRepository(mirror, "local/app");
        var (layer, config) = ("a layer"u8.ToArray(), "{}"u8.ToArray());
        hub.Log.Clear();

        // 1. Is it there? An upload in two requests, one in one request, and a mount.
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("HEAD", $"blobs/{Digest.Of(layer)}?{ns}"));
        using (var begun = await repository.SendAsync("POST", $"blobs/uploads/?{ns}"))
        {
            Assert.Equal(HttpStatusCode.Accepted, begun.StatusCode);
            var session = PushedRepository.Location(begun);
            session += session.Contains('?', StringComparison.Ordinal) ? "&" : "?";
            using var sent = await repository.SendAsync("PATCH", $"{session}{ns}", layer);
            Assert.Equal(HttpStatusCode.Accepted, sent.StatusCode);
            using var done = await repository.SendAsync("PUT", $"{session}{ns}&digest={Digest.Of(layer)}");
            Assert.Equal(HttpStatusCode.Created, done.StatusCode);
        }
        using (var whole = await repository.SendAsync("POST", $"blobs/uploads/?digest={Digest.Of(config)}&{ns}", config))
            Assert.Equal(HttpStatusCode.Created, whole.StatusCode);
        var other = new PushedRepository(mirror, "local/other");
        using (var mounted = await other.SendAsync("POST", $"blobs/uploads/?mount={Digest.Of(layer)}&from=local/app&{ns}"))
            Assert.Equal(HttpStatusCode.Created, mounted.StatusCode);

        // 2. The manifest, by tag and by digest; then the pull.
        var manifest = PushedRepository.Manifest(Digest.Of(config));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("HEAD", $"manifests/1?{ns}"));
        foreach (var reference in new[] { "1", Digest.Of(manifest).ToString() })
            using (var put = await repository.SendAsync("PUT", $"manifests/{reference}?{ns}", manifest, MediaTypes.OciManifest))
                Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        Assert.Equal(HttpStatusCode.OK, await repository.StatusOfAsync("HEAD", $"manifests/1?{ns}"));
        Assert.Equal(manifest, await repository.BytesAsync($"manifests/{Digest.Of(manifest)}?{ns}"));
        Assert.Equal(layer, await repository.BytesAsync($"blobs/{Digest.Of(layer)}?{ns}"));
        Assert.Equal(["1"], await repository.TagsAsync($"?{ns}"));
        Assert.Equal(HttpStatusCode.OK, await repository.StatusOfAsync("GET", $"referrers/{Digest.Of(manifest)}?{ns}"));
        Assert.Empty(hub.Log.Requests);
    }

    [Theory]
    [InlineData(false, HttpStatusCode.NotFound)]
    [InlineData(true, HttpStatusCode.OK)]
    public async Task A_mirror_of_docker_hub_answers_for_unknown_registries_only_where_any_ns_is_set(bool anyNs, HttpStatusCode expected)
    {
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("acme/app", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = hub.Url, More = $"  name: docker.io\n  any_ns: {(anyNs ? "true" : "false")}\n" });
        hub.Log.Clear();
        foreach (var ns in new[] { "ghcr.io", "ghcr.io:443", "registry.example:5000" })
            using (var response = await mirror.GetAsync($"acme/app/manifests/1?ns={ns}"))
                Assert.Equal(expected, response.StatusCode);
        Assert.Equal(anyNs, hub.Log.Requests.Any());
    }

    [Fact]
    public async Task The_address_of_an_upstream_does_not_stand_for_other_ports_of_its_host()
    {
        await using var upstream = await PushedAsync();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            More = $"  name: docker.io\n  upstreams:\n  - remoteurl: {upstream.Url}\n",
        });
        foreach (var (ns, expected) in new[]
        {
            (upstream.Authority, HttpStatusCode.OK), ($"{upstream.Url.Host}:{upstream.Url.Port + 1}", HttpStatusCode.NotFound),
        })
            using (var response = await mirror.GetAsync($"owner/app/manifests/1?ns={ns}"))
                Assert.Equal(expected, response.StatusCode);
    }

    /// <summary>What containerd sends where its hosts.toml has <c>host."http://mirror/v2/ghcr.io"</c> and <c>override_path</c>.</summary>
    [Fact]
    public async Task The_path_may_have_the_registrys_name_as_well_as_ns()
    {
        await using var hub = await ScriptedHub.StartAsync();
        await using var other = await ScriptedHub.StartAsync("127.0.0.2");
        other.AddImage("owner/app", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            More = $"""
                  name: private.example
                  upstreams:
                  - name: ghcr.io
                    remoteurl: {other.Url}
                  - name: {WithPort}
                    remoteurl: {other.Url}
                  - name: docker.io
                    remoteurl: {other.Url}

                """,
        });
        hub.Log.Clear();
        foreach (var (path, ns) in new[]
        {
            ("ghcr.io", "ghcr.io"), ("ghcr.io", "GHCR.IO"), ("ghcr.io", "ghcr.io:443"), ("registry.example_5000", WithPort),
            ("docker.io", "docker.io"), ("docker.io", "registry-1.docker.io"), ("index.docker.io", "docker.io"),
        })
            foreach (var what in new[] { "manifests/1", $"blobs/{Digest.Of(_image.Config)}", "tags/list" })
                using (var response = await mirror.GetAsync($"{path}/owner/app/{what}?ns={ns}"))
                    Assert.Equal((path, ns, what, HttpStatusCode.OK), (path, ns, what, response.StatusCode));
        Assert.Empty(hub.Log.Requests);
    }

    /// <summary>A private registry may hold copies as skopeo sync and regsync name them: under the names of their registries.</summary>
    [Theory]
    [InlineData("docker.io/library/nginx")]
    [InlineData("index.docker.io/acme/app")]
    [InlineData("docker.io/nginx")]
    [InlineData("quay.io/acme/app")]
    public async Task A_single_upstream_other_than_docker_hub_is_asked_for_the_name_as_it_is(string name)
    {
        await using var upstream = await ScriptedHub.StartAsync();
        upstream.AddImage(name, "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        foreach (var ns in new[] { "", "?ns=registry.example:5000", $"?ns={upstream.Url.Authority}", "?ns=docker.io" })
            foreach (var what in new[] { "manifests/1", "tags/list" })
                using (var response = await mirror.GetAsync($"{name}/{what}{ns}"))
                    Assert.Equal((what, ns, HttpStatusCode.OK), (what, ns, response.StatusCode));
    }

    [Fact]
    public async Task A_cache_of_docker_hub_that_is_called_so_is_asked_without_the_name()
    {
        await using var upstream = await ScriptedHub.StartAsync();
        upstream.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = upstream.Url, More = "  name: docker.io\n" });
        foreach (var name in new[] { "docker.io/library/hello", "index.docker.io/hello" })
            using (var response = await mirror.GetAsync($"{name}/manifests/1"))
                Assert.Equal((name, HttpStatusCode.OK), (name, response.StatusCode));
    }

    private static Task<MirrorProcess> MirrorOfTwoAsync(ScriptedHub hub, DockerRegistry upstream, string name) =>
        MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            More = $"  name: docker.io\n  upstreams:\n  - name: {name}\n    remoteurl: {upstream.Url}\n",
        });

    private async Task AssertPulledAsync(Skopeo skopeo, string image)
    {
        var folder = await skopeo.PullAsync(image);
        Assert.Equal(
            _image.Manifest, await File.ReadAllBytesAsync(Path.Combine(folder, "manifest.json"), TestContext.Current.CancellationToken));
    }

    private async Task<DockerRegistry> PushedAsync()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var registry = await DockerRegistry.StartAsync();
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(_image, $"{registry.Authority}/owner/app:1");
        return registry;
    }
}
