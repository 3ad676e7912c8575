using System.Net;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedAzurite))]

namespace Mirror.Tests.Azure;

/// <summary>The registry and mirror with its content in a container of Azure Blob Storage.</summary>
public sealed class AzureTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;
    private const string Repository = "library/nginx";

    private readonly string _container = $"c{Guid.NewGuid():N}";
    private Azurite _store = null!;
    private BlobContainerClient _client = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _store = await SharedAzurite.OrSkipAsync();
        _client = _store.Client(_container);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_cold_blob_is_streamed_and_a_warm_one_is_redirected_to_the_container()
    {
        await using var hub = await ScriptedHub.StartAsync();
        var blob = hub.AddBlob(Repository, HubBlob.Seeded(1, 12 * MiB));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = hub.Url, Driver = Driver() });
        using (var cold = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, Digest.Of(await cold.Content.ReadAsByteArrayAsync(Cancel)));
        await mirror.UntilStoredAsync($"{Repository}/blobs/{blob.Digest}");

        using var warm = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal(HttpStatusCode.TemporaryRedirect, warm.StatusCode);
        Assert.Equal(_store.Url.Authority, warm.Headers.Location!.Authority);
        Assert.Equal(blob.Digest, Digest.Of(await Http.Client.GetByteArrayAsync(warm.Headers.Location, Cancel)));
        Assert.Equal(blob.Size, hub.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task A_file_of_registry_2_makes_a_private_container_whose_names_begin_with_a_slash()
    {
        var image = TestImage.Create(seed: 50, layers: 2);
        await PushAsync(image, Driver());
        var properties = (await _client.GetPropertiesAsync(cancellationToken: Cancel)).Value;
        Assert.True(properties.PublicAccess is null or PublicAccessType.None);
        Assert.All(await NamesAsync(), name => Assert.StartsWith("/", name, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_names_that_a_container_has_are_kept_to()
    {
        await _client.CreateAsync(cancellationToken: Cancel);
        var first = TestImage.Create(seed: 51, layers: 2);
        // Credentials are a key of registry:3, which writes names without the slash.
        await PushAsync(first, Driver("    credentials:\n      type: shared_key\n"));
        Assert.DoesNotContain(await NamesAsync(), name => name.StartsWith('/'));

        var second = TestImage.Create(seed: 52, layers: 2);
        await PushAsync(second, Driver());
        Assert.DoesNotContain(await NamesAsync(), name => name.StartsWith('/'));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver() });
        await AssertPulledAsync(first, $"{mirror.Authority}/acme/app@{first.Digest}");
        await AssertPulledAsync(second, $"{mirror.Authority}/acme/app:1");
    }

    [Fact]
    public async Task A_link_in_an_append_blob_that_holds_its_digest_twice_is_read_and_replaced()
    {
        var (first, second) = (TestImage.Create(seed: 53, layers: 1), TestImage.Create(seed: 54, layers: 1));
        await PushAsync(first, Driver());
        var link = _client.GetAppendBlobClient($"/{RegistryLayout.TagCurrent(RepositoryName.Parse("acme/app"), "1")}");
        await link.DeleteAsync(cancellationToken: Cancel);
        await link.CreateAsync(cancellationToken: Cancel);
        for (var writer = 0; writer < 2; writer++)
            await link.AppendBlockAsync(new BinaryData(first.Digest.ToString()).ToStream(), cancellationToken: Cancel);

        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver() });
        await AssertPulledAsync(first, $"{mirror.Authority}/acme/app:1");
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(second, $"{mirror.Authority}/acme/app:1");
        await AssertPulledAsync(second, $"{mirror.Authority}/acme/app:1");
        var written = (await _client.GetBlobClient(link.Name).DownloadContentAsync(Cancel)).Value.Content.ToString();
        Assert.Equal(second.Digest.ToString(), written);
    }

    private string Driver(string more = "") =>
        $"  azure:\n    accountname: {Azurite.Account}\n    accountkey: {Azurite.Key}\n    container: {_container}\n"
        + $"    serviceurl: {_store.Url}\n{more}";

    private static async Task PushAsync(TestImage image, string driver)
    {
        Skopeo.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = driver });
        using var skopeo = new Skopeo();
        await skopeo.PushAsync(image, $"{mirror.Authority}/acme/app:1");
        await AssertPulledAsync(image, $"{mirror.Authority}/acme/app:1");
    }

    private async Task<List<string>> NamesAsync()
    {
        List<string> names = [];
        await foreach (var blob in _client.GetBlobsAsync(cancellationToken: Cancel))
            names.Add(blob.Name);
        Assert.NotEmpty(names);
        return names;
    }

    private static async Task AssertPulledAsync(TestImage image, string name)
    {
        using var skopeo = new Skopeo();
        var pulled = await skopeo.PullAsync(name);
        Assert.Equal(image.Manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));
        Assert.All(image.Blobs, blob => Assert.True(File.Exists(Path.Combine(pulled, blob.Hex))));
    }
}
