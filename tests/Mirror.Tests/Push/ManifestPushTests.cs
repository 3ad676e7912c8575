using System.Net;
using System.Text;
using Mirror.Storage;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Pushes of manifests (OCI distribution-spec 1.1.1, "Pushing Manifests", end points 7a and 7b).</summary>
public sealed class ManifestPushTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private readonly PushedRepository _repository = registry.NewRepository();

    [Fact]
    public async Task A_manifest_comes_back_byte_for_byte_by_tag_and_by_digest()
    {
        // Writing the JSON again would lose these spaces.
        var config = await _repository.PushAsync("{}"u8.ToArray());
        var bytes = Encoding.UTF8.GetBytes(
            $$"""  {"config": {"digest":"{{config}}", "size": 2 , "mediaType":"a/b"} ,"schemaVersion":2,"layers" : []  }  """ + "\n");
        using var put = await _repository.SendAsync("PUT", "manifests/v1", bytes, OciManifest + "; charset=utf-8");
        var digest = Digest.Of(bytes);
        Assert.Equal((HttpStatusCode.Created, digest.ToString()), (put.StatusCode, Header(put, "Docker-Content-Digest")));
        Assert.EndsWith($"/manifests/{digest}", Location(put), StringComparison.Ordinal);

        foreach (var reference in new[] { "v1", digest.ToString() })
        {
            using var get = await _repository.SendAsync("GET", $"manifests/{reference}");
            Assert.Equal(bytes, await get.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
            Assert.Equal(OciManifest, get.Content.Headers.ContentType!.ToString());
            using var head = await _repository.SendAsync("HEAD", $"manifests/{reference}");
            Assert.Equal(
                (HttpStatusCode.OK, (long?)bytes.Length, digest.ToString()),
                (head.StatusCode, head.Content.Headers.ContentLength, Header(head, "Docker-Content-Digest")));
        }
    }

    [Fact]
    public async Task The_pushed_media_type_is_kept_if_the_manifest_has_none()
    {
        var config = await _repository.PushAsync([1]);
        var bytes = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"{{config}}","size":1},"layers":[]}""");
        foreach (var type in new[] { MediaTypes.DockerManifest, MediaTypes.OciManifest, MediaTypes.DockerManifest })
        {
            using var put = await _repository.SendAsync("PUT", "manifests/t", bytes, type);
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
            using var get = await _repository.SendAsync("GET", $"manifests/{Digest.Of(bytes)}");
            Assert.Equal(type, get.Content.Headers.ContentType!.ToString());
        }
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task A_manifest_pushed_by_digest_gets_the_tags_of_the_query(string algorithm)
    {
        var bytes = Manifest(await _repository.PushAsync([1], algorithm));
        var digest = Digest.Of(bytes, algorithm);
        using var put = await _repository.SendAsync("PUT", $"manifests/{digest}?tag=one&tag=two&tag=one", bytes, OciManifest);
        Assert.Equal((HttpStatusCode.Created, "one, two"), (put.StatusCode, Header(put, "OCI-Tag")));
        Assert.Equal(bytes, await _repository.BytesAsync("manifests/one"));
        Assert.Equal(bytes, await _repository.BytesAsync("manifests/two"));
        Assert.Equal(bytes, await _repository.BytesAsync($"manifests/{digest}"));
        using var head = await _repository.SendAsync("HEAD", "manifests/two");
        Assert.Equal(digest.ToString(), Header(head, "Docker-Content-Digest"));
        Assert.Equal(["one", "two"], await _repository.TagsAsync());
    }

    [Fact]
    public async Task A_tag_moves()
    {
        var (first, _) = await _repository.PushManifestAsync("latest", "1");
        var (second, bytes) = await _repository.PushManifestAsync("latest", "2");
        Assert.Equal(bytes, await _repository.BytesAsync("manifests/latest"));
        Assert.NotEqual(first, second);
        Assert.Equal(HttpStatusCode.OK, await _repository.StatusOfAsync("GET", $"manifests/{first}"));
    }

    [Fact]
    public async Task A_digest_that_does_not_match_the_manifest_is_refused()
    {
        var bytes = Manifest(await _repository.PushAsync([1]));
        using var put = await _repository.SendAsync("PUT", $"manifests/{Digest.Of("x"u8)}", bytes, OciManifest);
        await AssertErrorAsync(put, 400, "DIGEST_INVALID");
    }

    [Fact]
    public async Task Blobs_of_a_manifest_must_be_in_the_repository()
    {
        using var put = await _repository.SendAsync("PUT", "manifests/t", Manifest(Digest.Of("missing"u8)), OciManifest);
        await AssertErrorAsync(put, 404, "MANIFEST_BLOB_UNKNOWN");
        // Another repository's blob does not count.
        var elsewhere = await registry.NewRepository().PushAsync("elsewhere"u8.ToArray());
        using var other = await _repository.SendAsync("PUT", "manifests/t", Manifest(elsewhere), OciManifest);
        await AssertErrorAsync(other, 404, "MANIFEST_BLOB_UNKNOWN");
        Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("GET", "manifests/t"));
    }

    [Theory]
    [InlineData("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "")]
    [InlineData("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "")]
    [InlineData("application/vnd.oci.image.layer.v1.tar", ""","urls":["https://example.com/layer"]""")]
    public async Task A_layer_that_clients_get_elsewhere_need_not_be_pushed(string type, string urls)
    {
        var config = await _repository.PushAsync([1]);
        var bytes = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{OciManifest}}","config":{"mediaType":"a/b","digest":"{{config}}","size":1},"""
            + $$""" "layers":[{"mediaType":"{{type}}","digest":"{{Digest.Of("far"u8)}}","size":3{{urls}}}]}""");
        using var put = await _repository.SendAsync("PUT", "manifests/t", bytes, OciManifest);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
    }

    [Theory]
    [InlineData(MediaTypes.OciIndex)]
    [InlineData(MediaTypes.DockerManifestList)]
    public async Task An_index_may_be_pushed_without_all_of_its_children(string type)
    {
        var (child, _) = await _repository.PushManifestAsync("child");
        var bytes = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{type}}","manifests":[{"mediaType":"{{OciManifest}}","digest":"{{child}}","size":1},"""
            + $$"""{"mediaType":"{{OciManifest}}","digest":"{{Digest.Of("no"u8)}}","size":1}]}""");
        using var put = await _repository.SendAsync("PUT", "manifests/index", bytes, type);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        Assert.Equal(bytes, await _repository.BytesAsync("manifests/index"));
    }

    [Theory]
    [InlineData(MediaTypes.OciIndex)]
    [InlineData(MediaTypes.DockerManifest)]
    [InlineData("application/vnd.docker.distribution.manifest.v1+json")]
    [InlineData(MediaTypes.DockerSignedSchema1)]
    [InlineData("text/html")]
    [InlineData("application/json")]
    [InlineData("!")]
    public async Task A_type_that_contradicts_the_manifest_is_refused(string type)
    {
        var bytes = Manifest(await _repository.PushAsync([1]));
        using var put = await _repository.SendAsync("PUT", "manifests/t", bytes, type);
        await AssertErrorAsync(put, 400, "MANIFEST_INVALID");
    }

    [Fact]
    public async Task Without_a_content_type_the_media_type_in_the_manifest_counts()
    {
        var bytes = Manifest(await _repository.PushAsync([1]));
        using var put = await _repository.SendAsync("PUT", "manifests/t", bytes);
        using var get = await _repository.SendAsync("GET", "manifests/t");
        Assert.Equal((HttpStatusCode.Created, OciManifest), (put.StatusCode, get.Content.Headers.ContentType!.ToString()));
    }

    [Fact]
    public async Task A_manifest_of_4_MiB_is_accepted_and_one_byte_more_is_not()
    {
        var config = await _repository.PushAsync([1]);
        var start = $$"""{"schemaVersion":2,"mediaType":"{{OciManifest}}","config":{"mediaType":"a/b","digest":"{{config}}","size":1},"""
            + """ "layers":[],"annotations":{"a":" """;
        const string end = "\"}}";
        byte[] Sized(int length) => Encoding.UTF8.GetBytes(start + new string('x', length - start.Length - end.Length) + end);
        using var fits = await _repository.SendAsync("PUT", "manifests/fits", Sized(4 << 20), OciManifest);
        Assert.Equal(HttpStatusCode.Created, fits.StatusCode);
        using var tooLarge = await _repository.SendAsync("PUT", "manifests/large", Sized((4 << 20) + 1), OciManifest);
        await AssertErrorAsync(tooLarge, 413, "SIZE_INVALID");
        Assert.Equal(4 << 20, (await _repository.BytesAsync("manifests/fits")).Length);
    }

    [Fact]
    public async Task An_endless_body_is_refused_once_it_is_too_long()
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, new Uri(registry.Mirror.Url, $"/v2/{_repository.Name}/manifests/t"));
        request.Content = new EndlessContent();
        request.Content.Headers.TryAddWithoutValidation("Content-Type", OciManifest);
        try
        {
            using var response = await Peers.Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
            await AssertErrorAsync(response, 413, "SIZE_INVALID");
        }
        catch (HttpRequestException)
        {
            // The server closes the connection while the client still writes. The client may not have read the answer.
        }
    }

    [Fact]
    public async Task An_index_may_have_25000_entries()
    {
        var (child, _) = await _repository.PushManifestAsync("child");
        var entries = string.Join(',', Enumerable.Range(0, 25_000).Select(i =>
            $$"""{"mediaType":"{{OciManifest}}","digest":"{{child}}","size":{{i}}}"""));
        var bytes = Encoding.UTF8.GetBytes($$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{entries}}]}""");
        using var put = await _repository.SendAsync("PUT", "manifests/wide", bytes, MediaTypes.OciIndex);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
    }

    private sealed class EndlessContent : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            var spaces = Encoding.ASCII.GetBytes(new string(' ', 1 << 16));
            while (true)
                await stream.WriteAsync(spaces);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
