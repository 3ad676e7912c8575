using System.Net;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Hosted and mirrored repositories in one server: which names accept pushes, and what passes between the two kinds.</summary>
public sealed class OwnershipTests
{
    private readonly TestImage _image = TestImage.Create(seed: 31);

    [Fact]
    public async Task Upstream_is_never_asked_for_a_hosted_repository()
    {
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        var repository = new PushedRepository(mirror, "local/app");
        hub.Log.Clear();
        var (_, bytes) = await repository.PushManifestAsync("1");
        Assert.Equal(bytes, await repository.BytesAsync("manifests/1"));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("GET", "manifests/2"));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("GET", $"blobs/{Digest.Of("no"u8)}"));
        Assert.Equal(HttpStatusCode.OK, await repository.StatusOfAsync("GET", $"referrers/{Digest.Of("no"u8)}"));
        Assert.Empty(hub.Log.Requests);
    }

    [Fact]
    public async Task A_denied_push_names_the_setting_that_would_allow_it()
    {
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        var repository = new PushedRepository(mirror, "library/nginx");
        foreach (var (method, path) in new[]
        {
            ("POST", "blobs/uploads/"), ("POST", $"blobs/uploads/?digest={Digest.Of("x"u8)}"),
            ("PUT", "manifests/latest"), ("PATCH", $"blobs/uploads/{Guid.NewGuid()}"),
        })
        {
            using var response = await repository.SendAsync(method, path, "x"u8.ToArray(), OciManifest);
            await AssertErrorAsync(response, 403, "DENIED");
            var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Contains("hosted.repositories", body, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_cached_layer_is_mounted_into_a_hosted_repository()
    {
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        var (mirrored, hosted) = (new PushedRepository(mirror, "library/hello"), new PushedRepository(mirror, "local/app"));
        var layer = _image.Layers[0];

        // The layer is not cached, and nothing is fetched for a mount.
        using var before = await hosted.SendAsync("POST", $"blobs/uploads/?mount={layer.Digest}&from=library/hello");
        Assert.Equal(HttpStatusCode.Accepted, before.StatusCode);

        Assert.Equal(layer.Bytes, await mirrored.BytesAsync($"blobs/{layer.Digest}"));
        await mirror.UntilStoredAsync($"library/hello/blobs/{layer.Digest}");
        using var after = await hosted.SendAsync("POST", $"blobs/uploads/?mount={layer.Digest}&from=library/hello");
        Assert.Equal(HttpStatusCode.Created, after.StatusCode);
        Assert.Equal(layer.Bytes, await hosted.BytesAsync($"blobs/{layer.Digest}"));
    }

    [Fact]
    public async Task A_deleted_mirrored_manifest_is_fetched_again_when_it_is_pulled()
    {
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        var repository = new PushedRepository(mirror, "library/hello");
        Assert.Equal(_image.Manifest, await repository.BytesAsync("manifests/1"));
        Assert.Equal(HttpStatusCode.Accepted, await repository.StatusOfAsync("DELETE", $"manifests/{_image.Digest}"));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("DELETE", $"manifests/{_image.Digest}"));
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("DELETE", "manifests/1"));
        Assert.Equal(_image.Manifest, await repository.BytesAsync("manifests/1"));
        Assert.Equal(HttpStatusCode.Accepted, await repository.StatusOfAsync("DELETE", "manifests/1"));
    }

    [Fact]
    public async Task Referrers_are_an_index_even_if_upstream_does_not_know_the_route()
    {
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/hello", "1", _image);
        await using var mirror = await MirrorProcess.StartAsync(hub.Url);
        var repository = new PushedRepository(mirror, "library/hello");
        using var response = await repository.SendAsync("GET", $"referrers/{_image.Digest}");
        Assert.Equal((HttpStatusCode.OK, MediaTypes.OciIndex), (response.StatusCode, response.Content.Headers.ContentType!.ToString()));
        using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, json.RootElement.GetProperty("manifests").GetArrayLength());
    }

    [Fact]
    public async Task Referrers_of_a_mirrored_manifest_come_from_upstream()
    {
        await using var upstream = await MirrorProcess.StartAsync(new MirrorSettings());
        var origin = new PushedRepository(upstream, "library/hello");
        var (subject, _) = await origin.PushManifestAsync("1");
        var (referrer, _) = await origin.PushManifestAsync("sig", "sig", subject, """ "artifactType":"x/sig" """);
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        var mirrored = new PushedRepository(mirror, "library/hello");
        Assert.Contains(referrer.ToString(), await mirrored.TextAsync($"referrers/{subject}"), StringComparison.Ordinal);
        Assert.Contains(referrer.ToString(), await mirrored.TextAsync($"referrers/{subject}?artifactType=x/sig"), StringComparison.Ordinal);
        var others = await mirrored.TextAsync($"referrers/{subject}?artifactType=x/other");
        Assert.DoesNotContain(referrer.ToString(), others, StringComparison.Ordinal);
    }
}
