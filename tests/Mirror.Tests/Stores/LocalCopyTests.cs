using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Stores;

/// <summary>A file of the local cache is damaged, and the bucket has the content.</summary>
public sealed class LocalCopyTests : IAsyncLifetime
{
    private static readonly byte[] Layer = UploadTests.Bytes(100_000);

    private readonly TempFolder _folder = new();
    private GoogleStorage _store = null!;
    private MirrorProcess _mirror = null!;
    private PushedRepository _app = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _store = await GoogleStorage.StartAsync();
        _folder.Write("key.json", _store.KeyFile());
        _mirror = await MirrorProcess.StartAsync(WithCache("cache"));
        _app = new PushedRepository(_mirror, "local/app");
    }

    public async ValueTask DisposeAsync()
    {
        if (_mirror is not null)
            await _mirror.DisposeAsync();
        if (_store is not null)
            await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1000, true)]
    // No client has asked for the manifest, which tells the length.
    [InlineData(1000, false)]
    [InlineData(100_008, false)]
    public async Task A_copy_of_another_length_is_replaced_from_the_bucket(int length, bool manifestFirst)
    {
        var (image, layer) = await PushAsync();
        await _mirror.StopAsync();
        byte[] longer = [.. Layer, .. new byte[8]];
        await File.WriteAllBytesAsync(CopyOf(layer), longer[..length], Cancel);
        await _mirror.StartAgainAsync();

        if (manifestFirst)
            await _app.BytesAsync($"manifests/{image}");
        Assert.Equal(Layer, await _app.BytesAsync($"blobs/{layer}"));
        Assert.Equal(HttpStatusCode.OK, await _app.StatusOfAsync("HEAD", $"blobs/{layer}"));
        Assert.DoesNotContain(_mirror.Log, line => line.Contains("is damaged", StringComparison.Ordinal));
        // The copy is right again.
        Assert.Equal(Layer, await File.ReadAllBytesAsync(CopyOf(layer), Cancel));
    }

    [Fact]
    public async Task A_layer_that_was_cut_short_is_served_again_when_the_bucket_is_back()
    {
        var (image, layer) = await PushAsync();
        await _mirror.StopAsync();
        await File.WriteAllBytesAsync(CopyOf(layer), Layer[..1000], Cancel);
        await _mirror.StartAgainAsync();
        await _app.BytesAsync($"manifests/{image}");

        _store.Faults.Set(StoreFault.Status(503));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await _app.StatusOfAsync("GET", $"blobs/{layer}"));
        _store.Faults.Clear();
        await Until.TrueAsync(
            async () => await _app.StatusOfAsync("GET", $"blobs/{layer}") == HttpStatusCode.OK, () => string.Join('\n', _mirror.Log));
        Assert.Equal(Layer, await _app.BytesAsync($"blobs/{layer}"));
    }

    [Fact]
    public async Task A_damaged_manifest_comes_from_the_bucket()
    {
        var (image, _) = await PushAsync();
        var bytes = await _app.BytesAsync($"manifests/{image}");
        await _mirror.StopAsync();
        await File.WriteAllBytesAsync(CopyOf(image), new byte[bytes.Length], Cancel);
        await _mirror.StartAgainAsync();
        Assert.Equal(bytes, await _app.BytesAsync("manifests/1"));
    }

    [Theory]
    // Where a copy is until it is verified, and where it is then.
    [InlineData("incoming")]
    [InlineData("content")]
    public async Task A_client_gets_the_whole_layer_although_the_disk_cannot_read_the_copy(string folder)
    {
        const int inputOutputError = 5;
        DiskFaults.Availability.OrSkip();
        var (_, layer) = await PushAsync();
        using var faults = new DiskFaults(Path.Combine(_folder["other"], folder)) { AreReadsAsked = true };
        await using var other = await MirrorProcess.StartAsync(WithCache("other") with { Faults = faults });
        var app = new PushedRepository(other, "local/app");
        faults.Fail(DiskCall.Read, at: 0, inputOutputError);
        for (var i = 0; i < 2; i++)
            Assert.Equal(Layer, await app.BytesAsync($"blobs/{layer}"));
        Assert.NotNull(faults.Failed);
    }

    private MirrorSettings WithCache(string folder) => new()
    {
        Driver = $"  gcs:\n    bucket: {GoogleStorage.Bucket}\n    keyfile: {_folder["key.json"]}\n"
            + $"    rootdirectory: /registry\n    endpoint: {_store.Url}\n"
            + $"    localcache:\n      path: {_folder.Folder(folder)}\n  redirect: {{disable: true}}\n",
    };

    private async Task<(Digest Image, Digest Layer)> PushAsync()
    {
        var layer = await _app.PushAsync(Layer);
        var text = $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}",
             "config":{"mediaType":"a/b","digest":"{{layer}}","size":{{Layer.Length}}},"layers":[]}
            """;
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        using var put = await _app.SendAsync("PUT", "manifests/1", bytes, MediaTypes.OciManifest);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        return (Digest.Of(bytes), layer);
    }

    private string CopyOf(Digest digest) => Path.Combine(_folder["cache"], "content", digest.Algorithm, digest.Hex);
}
