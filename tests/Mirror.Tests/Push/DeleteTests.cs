using System.Net;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Deletes take effect at once (OCI distribution-spec 1.1.1, "Content Management", end points 9 and 10).</summary>
public sealed class DeleteTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private readonly PushedRepository _repository = registry.NewRepository();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_deleted_tag_is_gone_but_its_manifest_is_not()
    {
        var (digest, _) = await _repository.PushManifestAsync("a");
        await _repository.PushManifestAsync("b");
        Assert.Equal(HttpStatusCode.Accepted, await _repository.StatusOfAsync("DELETE", "manifests/a"));
        Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("GET", "manifests/a"));
        Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("DELETE", "manifests/a"));
        Assert.Equal(HttpStatusCode.OK, await _repository.StatusOfAsync("HEAD", $"manifests/{digest}"));
        Assert.Equal(["b"], await _repository.TagsAsync());
    }

    [Fact]
    public async Task Deleting_a_manifest_deletes_every_tag_that_names_it()
    {
        var (digest, _) = await _repository.PushManifestAsync("a", "1");
        await _repository.PushManifestAsync("b", "1");
        await _repository.PushManifestAsync("other", "2");
        Assert.Equal(["a", "b", "other"], await _repository.TagsAsync());
        Assert.Equal(HttpStatusCode.Accepted, await _repository.StatusOfAsync("DELETE", $"manifests/{digest}"));
        foreach (var reference in new[] { "a", "b", digest.ToString() })
            foreach (var method in new[] { "GET", "HEAD", "DELETE" })
                Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync(method, $"manifests/{reference}"));
        Assert.Equal(["other"], await _repository.TagsAsync());
    }

    [Fact]
    public async Task A_manifest_can_be_pushed_again_after_its_deletion()
    {
        var (digest, bytes) = await _repository.PushManifestAsync("a");
        Assert.Equal(HttpStatusCode.Accepted, await _repository.StatusOfAsync("DELETE", $"manifests/{digest}"));
        await _repository.PushManifestAsync("a");
        Assert.Equal(bytes, await _repository.BytesAsync("manifests/a"));
    }

    [Fact]
    public async Task No_tag_that_another_server_sets_meanwhile_names_a_deleted_manifest()
    {
        DiskFaults.Availability.OrSkip();
        using var root = new TempFolder();
        using var calls = new DiskFaults(root.Path);
        var name = RepositoryName.Parse("a/b");
        await using var deletes = await MirrorProcess.StartAsync(new MirrorSettings { Root = root.Path, Faults = calls });
        await using var pushes = await MirrorProcess.StartAsync(new MirrorSettings { Root = root.Path });
        var (here, there) = (new PushedRepository(deletes, name.ToString()), new PushedRepository(pushes, name.ToString()));
        var (digest, bytes) = await here.PushManifestAsync("first");

        // When the tags of the manifest are deleted, and the manifest is about to be.
        Task<HttpStatusCode>? push = null;
        calls.Before = (call, path) =>
        {
            if (push is not null || call != DiskCall.Name
                || !path.EndsWith(RegistryLayout.Revision(name, digest), StringComparison.Ordinal))
                return;
            push = Task.Run(() => StatusAsync(there, bytes), Cancel);
            Task.WaitAny([push], Cancel);
        };
        Assert.Equal(HttpStatusCode.Accepted, await here.StatusOfAsync("DELETE", $"manifests/{digest}"));
        Assert.Equal(HttpStatusCode.Created, await push!);
        Assert.Equal(HttpStatusCode.NotFound, await here.StatusOfAsync("GET", $"manifests/{digest}"));
        Assert.Empty(await there.TagsAsync());

        static async Task<HttpStatusCode> StatusAsync(PushedRepository repository, byte[] manifest)
        {
            using var response = await repository.SendAsync("PUT", "manifests/second", manifest, OciManifest);
            return response.StatusCode;
        }
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task A_deleted_blob_is_gone_from_this_repository_only(string algorithm)
    {
        var other = registry.NewRepository();
        var digest = await _repository.PushAsync([1, 2, 3], algorithm);
        await other.PushAsync([1, 2, 3], algorithm);
        Assert.Equal(HttpStatusCode.Accepted, await _repository.StatusOfAsync("DELETE", $"blobs/{digest}"));
        foreach (var method in new[] { "GET", "HEAD", "DELETE" })
            Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync(method, $"blobs/{digest}"));
        Assert.Equal([1, 2, 3], await other.BytesAsync($"blobs/{digest}"));
    }

    [Theory]
    [InlineData("manifests/sha256:abc", "DIGEST_INVALID")]
    [InlineData("manifests/.no", "TAG_INVALID")]
    [InlineData("blobs/sha256:abc", "DIGEST_INVALID")]
    public async Task Deleting_something_that_is_no_reference_is_400(string path, string code)
    {
        using var response = await _repository.SendAsync("DELETE", path);
        await AssertErrorAsync(response, 400, code);
    }

    [Fact]
    public async Task Deletes_are_refused_when_they_are_not_enabled()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_STORAGE_DELETE_ENABLED"] = "false" },
        });
        var repository = new PushedRepository(mirror, "a/b");
        var (digest, _) = await repository.PushManifestAsync("t");
        foreach (var path in new[] { "manifests/t", $"manifests/{digest}", $"blobs/{Digest.Of("config "u8)}" })
        {
            using var response = await repository.SendAsync("DELETE", path);
            await AssertErrorAsync(response, 405, "UNSUPPORTED");
            var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Contains("storage.delete.enabled", body, StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.OK, await repository.StatusOfAsync("HEAD", path));
        }
        // DELETE of an upload cancels it, and does not count as a delete.
        Assert.Equal(HttpStatusCode.NoContent, await repository.StatusOfAsync("DELETE", await repository.BeginAsync()));
    }

    [Fact]
    public async Task A_read_only_registry_refuses_every_route_that_writes()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "a/b");
        var (digest, bytes) = await repository.PushManifestAsync("t");
        var location = await repository.BeginAsync();
        await mirror.StopAsync();
        await using var readOnly = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Root = mirror.Root,
            Environment = new Dictionary<string, string> { ["REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED"] = "true" },
        });
        repository = new PushedRepository(readOnly, "a/b");
        var upload = $"blobs/uploads/{location[(location.LastIndexOf('/') + 1)..]}";
        foreach (var (method, path) in new[]
        {
            ("PUT", "manifests/t"), ("DELETE", "manifests/t"), ("DELETE", $"manifests/{digest}"), ("DELETE", $"blobs/{digest}"),
            ("POST", "blobs/uploads/"), ("PATCH", upload), ("PUT", upload), ("DELETE", upload),
        })
        {
            using var response = await repository.SendAsync(method, path, bytes, OciManifest);
            await AssertErrorAsync(response, 405, "UNSUPPORTED");
        }
        Assert.Equal(bytes, await repository.BytesAsync("manifests/t"));
    }
}
