using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Interchange;

/// <summary>One volume served in turn by <c>registry:2</c> and by the mirror, each with its own garbage collection.</summary>
public sealed class DockerRegistryTests : IAsyncLifetime
{
    private readonly TestImage _kept = TestImage.Create(seed: 40, layers: 2);
    private readonly TestImage _deleted = TestImage.Create(seed: 41, layers: 2);
    private readonly TestImage _arm = TestImage.Create(seed: 42, layers: 1, oci: true, architecture: "arm64");
    private readonly TestImage _amd = TestImage.Create(seed: 43, layers: 1, oci: true);

    private DockerRegistry _registry = null!;
    private Digest _index;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        _registry = await DockerRegistry.StartAsync();
    }

    public ValueTask DisposeAsync() => _registry is null ? ValueTask.CompletedTask : _registry.DisposeAsync();

    [Fact]
    public async Task The_mirror_serves_deletes_and_collects_what_docker_registry_wrote()
    {
        await FillAsync(_registry.Authority);
        await _registry.StopAsync();

        await using (var mirror = await OpenAsync())
        {
            await AssertServedAsync(mirror.Url, _kept, "acme/app", "kept");
            await AssertServedAsync(mirror.Url, _deleted, "acme/app", "deleted");
            Assert.Equal(["deleted", "kept"], await TagsAsync(mirror.Url, "acme/app"));
            Assert.Equal(["acme/app", "acme/multi"], await CatalogAsync(mirror.Url));
            await DeleteAsync(mirror.Url, $"acme/app/manifests/{_deleted.Digest}");
            // The command runs while the server serves.
            var output = await mirror.CollectAsync("--delete-untagged");
            Assert.Contains($"blob eligible for deletion: {_deleted.Layers[0].Digest}", output, StringComparison.Ordinal);
            Assert.Contains("freed ", output, StringComparison.Ordinal);
            await AssertLeftAsync(mirror.Url);
        }
        AssertStored();
        await _registry.StartAgainAsync();
        await AssertLeftAsync(_registry.Url);
    }

    [Fact]
    public async Task Docker_registry_serves_deletes_and_collects_what_the_mirror_wrote()
    {
        await _registry.StopAsync();
        await using var mirror = await OpenAsync();
        await FillAsync(mirror.Authority);
        await mirror.StopAsync();

        await _registry.StartAgainAsync();
        await AssertServedAsync(_registry.Url, _kept, "acme/app", "kept");
        await AssertServedAsync(_registry.Url, _deleted, "acme/app", "deleted");
        Assert.Equal(["acme/app", "acme/multi"], await CatalogAsync(_registry.Url));
        await DeleteAsync(_registry.Url, $"acme/app/manifests/{_deleted.Digest}");
        await _registry.StopAsync();
        await _registry.CollectAsync();
        AssertStored();
        await _registry.StartAgainAsync();
        await AssertLeftAsync(_registry.Url);
        await _registry.StopAsync();

        await mirror.StartAgainAsync();
        await AssertLeftAsync(mirror.Url);
        // The mirror notices that the other collection deleted its content, and accepts it again.
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(_deleted, $"{mirror.Authority}/acme/app:deleted");
        await AssertServedAsync(mirror.Url, _deleted, "acme/app", "deleted");
    }

    [Fact]
    public async Task Docker_registry_collects_what_the_mirror_deleted()
    {
        await _registry.StopAsync();
        await using var mirror = await OpenAsync();
        await FillAsync(mirror.Authority);
        await DeleteAsync(mirror.Url, $"acme/app/manifests/{_deleted.Digest}");
        await mirror.StopAsync();

        await _registry.CollectAsync();
        AssertStored();
        await _registry.StartAgainAsync();
        await AssertLeftAsync(_registry.Url);
    }

    [Fact]
    public async Task Docker_registry_serves_what_was_mirrored_and_collects_none_of_it()
    {
        await using var upstream = await DockerRegistry.StartAsync();
        await FillAsync(upstream.Authority);
        await _registry.StopAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = _registry.Root, Upstream = upstream.Url });
        await AssertServedAsync(mirror.Url, _kept, "acme/app", "kept");
        await AssertServedAsync(mirror.Url, _deleted, "acme/app", "deleted");
        foreach (var blob in _kept.Blobs.Concat(_deleted.Blobs))
            await mirror.UntilStoredAsync($"acme/app/blobs/{blob}");
        Assert.Contains("0 blobs and 0 manifests eligible", await mirror.CollectAsync("-m"), StringComparison.Ordinal);
        await mirror.StopAsync();

        await _registry.CollectAsync();
        await _registry.StartAgainAsync();
        await AssertServedAsync(_registry.Url, _kept, "acme/app", "kept");
        await AssertServedAsync(_registry.Url, _deleted, "acme/app", "deleted");
    }

    private Task<MirrorProcess> OpenAsync() => MirrorProcess.StartAsync(new MirrorSettings { Root = _registry.Root });

    private async Task FillAsync(string authority)
    {
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(_kept, $"{authority}/acme/app:kept");
        await skopeo.PushAsync(_deleted, $"{authority}/acme/app:deleted");
        _index = await skopeo.PushIndexAsync([_amd, _arm], $"{authority}/acme/multi:1");
    }

    private async Task AssertLeftAsync(Uri registry)
    {
        await AssertServedAsync(registry, _kept, "acme/app", "kept");
        Assert.Equal(["kept"], await TagsAsync(registry, "acme/app"));
        string[] deleted = [$"manifests/{_deleted.Digest}", "manifests/deleted", .. _deleted.Blobs.Select(blob => $"blobs/{blob}")];
        foreach (var path in deleted)
            Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(registry, $"acme/app/{path}")).Status);
        Assert.Equal(_index, Digest.Of((await GetAsync(registry, "acme/multi/manifests/1")).Body));
        await AssertServedAsync(registry, _amd, "acme/multi", _amd.Digest.ToString());
        await AssertServedAsync(registry, _arm, "acme/multi", _arm.Digest.ToString());
    }

    // Exactly the blobs that a name refers to.
    private void AssertStored()
    {
        Digest[] named = [_kept.Digest, .. _kept.Blobs, _index, _amd.Digest, .. _amd.Blobs, _arm.Digest, .. _arm.Blobs];
        var stored = Directory.EnumerateFiles(Path.Combine(_registry.Root, "docker/registry/v2/blobs"), "data", SearchOption.AllDirectories)
            .Select(file => $"sha256:{Path.GetFileName(Path.GetDirectoryName(file))}");
        Assert.Equal(named.Select(digest => digest.ToString()).Distinct().Order(), stored.Order());
    }

    private static async Task AssertServedAsync(Uri registry, TestImage image, string name, string reference)
    {
        Assert.Equal(image.Manifest, (await GetAsync(registry, $"{name}/manifests/{reference}")).Body);
        foreach (var blob in image.Blobs)
            Assert.Equal(blob, Digest.Of((await GetAsync(registry, $"{name}/blobs/{blob}")).Body));
    }

    private static async Task<(HttpStatusCode Status, byte[] Body)> GetAsync(Uri registry, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(registry, $"/v2/{path}"));
        foreach (var types in new[] { new ImageTypes(Oci: false), new ImageTypes(Oci: true) })
            request.Headers.TryAddWithoutValidation("Accept", [types.Manifest, types.Index]);
        using var response = await Http.Client.SendAsync(request, Cancel);
        return (response.StatusCode, await response.Content.ReadAsByteArrayAsync(Cancel));
    }

    private static async Task DeleteAsync(Uri registry, string path)
    {
        using var response = await Http.Client.DeleteAsync(new Uri(registry, $"/v2/{path}"), Cancel);
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
    }

    private static Task<IEnumerable<string>> TagsAsync(Uri registry, string name) => ListAsync(registry, $"{name}/tags/list", "tags");

    private static Task<IEnumerable<string>> CatalogAsync(Uri registry) => ListAsync(registry, "_catalog", "repositories");

    private static async Task<IEnumerable<string>> ListAsync(Uri registry, string path, string property)
    {
        var answer = await Http.Client.GetFromJsonAsync<JsonElement>(new Uri(registry, $"/v2/{path}"), Cancel);
        return answer.GetProperty(property).EnumerateArray().Select(entry => entry.GetString()!).Order();
    }
}
