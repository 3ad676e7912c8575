using System.Net;
using Mirror.Commands;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>The mirror does not serve content that was damaged in the store; it finds and repairs it.</summary>
public sealed class DamagedStoreTests : MirrorOfHub
{
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 300_000);

    [Theory]
    [InlineData(0)]
    [InlineData(100_000)]
    [InlineData(299_999)]
    [InlineData(300_001)]
    public async Task A_layer_with_a_wrong_length_is_downloaded_again(int length)
    {
        await PullAsync();
        using (var file = File.OpenHandle(PathOf(Layer.Digest), FileMode.Open, FileAccess.ReadWrite))
            RandomAccess.SetLength(file, length);
        Hub.Log.Clear();
        using (var head = await Mirror.HeadAsync(BlobPath(Layer.Digest)))
            Assert.Equal(Layer.Size, head.Content.Headers.ContentLength);
        using (var response = await Mirror.GetAsync(BlobPath(Layer.Digest)))
            Assert.Equal(Layer.Digest, await DigestOfAsync(response));
        Assert.Equal(Layer.Size, Hub.Log.BodyBytes(Layer.Digest));
        await Mirror.UntilStoredAsync(BlobPath(Layer.Digest));
        // A log line takes a moment to arrive.
        await Until.TrueAsync(
            () => Mirror.Log.Any(line =>
                line.Contains("damaged", StringComparison.Ordinal) && line.Contains(Layer.Digest.ToString(), StringComparison.Ordinal)),
            () => $"The log does not tell:\n{string.Join('\n', Mirror.Log)}");
    }

    [Fact]
    public async Task An_empty_file_is_no_layer_even_without_its_manifest()
    {
        await PullAsync();
        await Mirror.KillAsync();
        await File.WriteAllBytesAsync(PathOf(Layer.Digest), [], Cancel);
        await Mirror.StartAgainAsync();
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
    }

    [Fact]
    public async Task A_layer_that_was_cut_short_while_the_server_was_down_is_downloaded_again()
    {
        var image = await PullAsync();
        await Mirror.KillAsync();
        using (var file = File.OpenHandle(PathOf(Layer.Digest), FileMode.Open, FileAccess.ReadWrite))
            RandomAccess.SetLength(file, 1000);
        await Mirror.StartAgainAsync();
        // The manifest tells the length. A look at the store that does not know it must come to the same result.
        using (var manifest = await Mirror.GetAsync(ManifestPath(image.Digest)))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        using (var response = await Mirror.GetAsync(BlobPath(Layer.Digest)))
            Assert.Equal(Layer.Digest, await DigestOfAsync(response));
        await Mirror.UntilStoredAsync(BlobPath(Layer.Digest));
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
    }

    [Fact]
    public async Task Without_upstream_a_damaged_layer_is_503_and_never_a_short_200()
    {
        await PullAsync();
        using (var file = File.OpenHandle(PathOf(Layer.Digest), FileMode.Open, FileAccess.ReadWrite))
            RandomAccess.SetLength(file, 1000);
        await Hub.Registry.TakeDownAsync();
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }

    [Fact]
    public async Task A_damaged_manifest_is_downloaded_again()
    {
        var image = await PullAsync();
        await Mirror.KillAsync();
        await FlipAsync(image.Digest);
        await Mirror.StartAgainAsync();
        using var response = await Mirror.GetAsync(ManifestPath(image.Digest));
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        await Until.TrueAsync(
            () => File.ReadAllBytes(PathOf(image.Digest)).AsSpan().SequenceEqual(image.Bytes), () => "The file stays damaged.");
    }

    [Fact]
    public async Task A_damaged_link_or_tag_is_a_miss()
    {
        var image = await PullAsync();
        await Mirror.KillAsync();
        var repositories = Path.Combine(Mirror.Root, "docker/registry/v2/repositories");
        foreach (var link in Directory.GetFiles(repositories, "link", SearchOption.AllDirectories))
            await File.WriteAllTextAsync(link, "", Cancel);
        await Mirror.StartAgainAsync();
        using var manifest = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
    }

    [Fact]
    public async Task Verify_finds_damage_and_repair_lets_it_be_downloaded_again()
    {
        var image = await PullAsync();
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
        await FlipAsync(Layer.Digest);
        await FlipAsync(image.Config.Digest);

        var (found, said) = await Mirror.RunAsync("verify");
        Assert.Equal(1, found);
        Assert.Contains($"damaged: {Layer.Digest}", said, StringComparison.Ordinal);
        Assert.Contains($"damaged: {image.Config.Digest}", said, StringComparison.Ordinal);
        Assert.DoesNotContain($"damaged: {image.Digest}", said, StringComparison.Ordinal);
        Assert.True(IsStored(Layer.Digest));

        Assert.Equal(0, (await Mirror.RunAsync("verify", "--repair")).Code);
        using (var response = await Mirror.GetAsync(BlobPath(Layer.Digest)))
            Assert.Equal(Layer.Digest, await DigestOfAsync(response));
        await Mirror.UntilStoredAsync(BlobPath(Layer.Digest));
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
    }

    [Fact]
    public async Task Verify_names_the_hosted_images_to_push_again()
    {
        var (content, references) = (new FileContentStore(Mirror.Root), new FileReferenceStore(Mirror.Root));
        var hosted = RepositoryName.Parse("local/app");
        var image = await PullAsync();
        foreach (var (bytes, isManifest) in new[] { (Layer.Slice(0, Layer.Size), false), (image.Bytes, true) })
        {
            await content.PutAsync(Digest.Of(bytes), bytes, Cancel);
            await (isManifest
                ? references.LinkManifestAsync(hosted, Digest.Of(bytes), null, Cancel)
                : references.LinkBlobAsync(hosted, Digest.Of(bytes), Cancel));
        }
        await references.SetTagAsync(hosted, "1.0", image.Digest, Cancel);
        await FlipAsync(Layer.Digest);

        var (code, said) = await Mirror.RunAsync("verify", "--repair");
        Assert.Equal(1, code);
        Assert.Contains("broken: local/app:1.0", said, StringComparison.Ordinal);
        Assert.DoesNotContain($"broken: {Repository}", said, StringComparison.Ordinal);
        Assert.False(IsStored(Layer.Digest));
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest, "local/app"));
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    [Theory]
    [InlineData("manifest")]
    [InlineData("blob")]
    [InlineData("tag")]
    public async Task What_was_damaged_is_right_again_after_a_push(string what)
    {
        var pushed = new PushedRepository(Mirror, "local/app");
        var (digest, bytes) = await pushed.PushManifestAsync("v1");
        var config = Digest.Of("config "u8);
        await Mirror.KillAsync();
        var folder = Path.Combine(Mirror.Root, RegistryLayout.Repository(RepositoryName.Parse("local/app")));
        if (what == "tag")
            foreach (var link in Directory.GetFiles(folder, "link", SearchOption.AllDirectories))
                await File.WriteAllTextAsync(link, "x", Cancel);
        else
            await FlipAsync(what == "manifest" ? digest : config);
        await Mirror.StartAgainAsync();
        if (what != "blob")
            Assert.Equal(HttpStatusCode.NotFound, await pushed.StatusOfAsync("GET", "manifests/v1"));

        // The blob is pushed whole, also where the server has one of that digest and length.
        Assert.Equal(digest, (await pushed.PushManifestAsync("v1")).Digest);
        await Mirror.KillAsync();
        await Mirror.StartAgainAsync();
        Assert.Equal(bytes, await pushed.BytesAsync("manifests/v1"));
        Assert.Equal(bytes, await pushed.BytesAsync($"manifests/{digest}"));
        Assert.Equal("config ", await pushed.TextAsync($"blobs/{config}"));
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
        Assert.All(
            Directory.GetFiles(folder, "link", SearchOption.AllDirectories),
            link => Assert.True(Digest.TryParse(File.ReadAllText(link), out _), link));
    }

    [Fact]
    public async Task A_hosted_image_whose_layer_is_gone_is_broken_until_it_is_pushed_again()
    {
        var pushed = new PushedRepository(Mirror, "local/app");
        var (digest, _) = await pushed.PushManifestAsync("v1");
        var layer = Digest.Of("config "u8);
        await Mirror.ImagesAsync(list => list is [var only] && only.GetProperty("whole").GetBoolean());
        await FlipAsync(layer);
        Assert.Equal(1, (await Mirror.RunAsync("verify", "--repair")).Code);

        var (code, said) = await Mirror.RunAsync("verify");
        Assert.Equal(1, code);
        Assert.Contains($"broken: local/app:v1 lacks {layer}; push it again", said, StringComparison.Ordinal);
        using (var response = await Mirror.GetAsync(BlobPath(layer, "local/app")))
            await AssertErrorAsync(HttpStatusCode.NotFound, response);
        await Until.TrueAsync(
            () => Mirror.Log.Any(line => line.Contains("level=warning", StringComparison.Ordinal)
                && line.Contains("push again the images that need it", StringComparison.Ordinal)),
            () => $"The log does not tell:\n{string.Join('\n', Mirror.Log)}");
        await Mirror.KillAsync();
        foreach (var index in Directory.GetFiles(Path.Combine(Mirror.Root, "mirror"), "images.db*"))
            File.Delete(index);
        await Mirror.StartAgainAsync();
        await Mirror.ImagesAsync(list => list is [var only] && !only.GetProperty("whole").GetBoolean());
        Assert.Contains("(not whole)", (await Mirror.VerbAsync("images")).Output, StringComparison.Ordinal);

        Assert.Equal(digest, (await pushed.PushManifestAsync("v1")).Digest);
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
    }

    [Theory]
    [InlineData("links")]
    [InlineData("manifest")]
    [InlineData("tag")]
    public async Task Verify_names_a_hosted_image_that_has_lost_a_link_until_it_is_pushed_again(string lost)
    {
        var pushed = new PushedRepository(Mirror, "local/app");
        var (digest, _) = await pushed.PushManifestAsync("v1");
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
        var (name, layer) = (RepositoryName.Parse("local/app"), Digest.Of("config "u8));
        await Mirror.KillAsync();
        if (lost == "tag")
            await File.WriteAllTextAsync(Path.Combine(Mirror.Root, RegistryLayout.TagCurrent(name, "v1")), "", Cancel);
        else
            Directory.Delete(
                Path.Combine(Mirror.Root, lost == "links" ? RegistryLayout.Layers(name) : RegistryLayout.Revision(name, digest)),
                recursive: true);
        await Mirror.StartAgainAsync();
        if (lost == "links")
            Assert.Equal(HttpStatusCode.NotFound, await pushed.StatusOfAsync("GET", $"blobs/{layer}"));

        var (code, said) = await Mirror.RunAsync("verify");
        Assert.Equal(1, code);
        var why = lost switch
        {
            "links" => $"lacks {layer}",
            "manifest" => $"lacks {digest}",
            _ => "has a damaged link, and names no manifest",
        };
        Assert.Contains($"broken: local/app:v1 {why}; push it again", said, StringComparison.Ordinal);

        Assert.Equal(digest, (await pushed.PushManifestAsync("v1")).Digest);
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);
    }

    [Fact]
    public async Task Verify_takes_an_index_that_lists_blobs_for_whole()
    {
        var pushed = new PushedRepository(Mirror, "local/app");
        var (layer, config) = (await pushed.PushAsync("a layer"u8.ToArray()), await pushed.PushAsync("a config"u8.ToArray()));
        var cache = System.Text.Encoding.UTF8.GetBytes($$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[
            {"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{{layer}}","size":7},
            {"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"{{config}}","size":8}]}
            """);
        using (var put = await pushed.SendAsync("PUT", "manifests/cache", cache, MediaTypes.OciIndex))
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        Assert.Equal(0, (await Mirror.RunAsync("verify")).Code);

        await FlipAsync(layer);
        Assert.Equal(1, (await Mirror.RunAsync("verify", "--repair")).Code);
        var (code, said) = await Mirror.RunAsync("verify");
        Assert.Equal(1, code);
        Assert.Contains($"broken: local/app:cache lacks {layer}; push it again", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_counts_no_copy_from_upstream_as_broken_because_it_has_no_layers()
    {
        var image = Hub.AddImage(Repository, "latest", Layer);
        using (var manifest = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        // Without an upstream, clients may push to all repositories, also to those that have copies.
        using var folder = new TempFolder();
        var plain = folder.Write(
            "plain.yml", $"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {Mirror.Root}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n");
        await using var output = new StringWriter();
        var code = await CommandLine.RunAsync(["verify", plain], new Dictionary<string, string>(), output, output);
        Assert.True(code == 0, output.ToString());
        Assert.False(IsStored(image.Layers[0].Digest));
    }

    private string PathOf(Digest digest) => Path.Combine(Mirror.Root, RegistryLayout.BlobData(digest));

    private async Task FlipAsync(Digest digest)
    {
        var bytes = await File.ReadAllBytesAsync(PathOf(digest), Cancel);
        bytes[bytes.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(PathOf(digest), bytes, Cancel);
    }

    private async Task<HubImage> PullAsync()
    {
        var image = Hub.AddImage(Repository, "latest", Layer);
        using (await Mirror.GetAsync(ManifestPath("latest")))
            foreach (var blob in image.Layers.Append(image.Config))
            {
                using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
                    Assert.Equal(blob.Digest, await DigestOfAsync(response));
                await Mirror.UntilStoredAsync(BlobPath(blob.Digest));
            }
        return image;
    }
}
