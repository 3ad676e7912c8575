using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Upstreams that say in an unusual way where a body ends, or do not say it.</summary>
public sealed class BodyLengthTests
{
    private const string Name = "acme/app";

    private static readonly byte[] Blob = HubBytes(100_000);
    private static readonly byte[] Document =
        """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"""u8.ToArray();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    // RFC 9110, 8.6: equal lengths may be taken as one. The connection stays open.
    [Theory]
    [InlineData("Content-Length: {0}, {0}\r\n")]
    [InlineData("Content-Length: {0}\r\nContent-Length: {0}\r\n")]
    [InlineData("Content-Length: {0},{0} , {0}\r\n")]
    public async Task A_length_that_is_told_twice_is_the_length(string lengths)
    {
        MirrorProcess.Availability.OrSkip();
        using var upstream = new RawUpstream((_, path) => Body(path) is var body
            ? ($"Content-Type: {TypeOf(path)}\r\n{string.Format(null, lengths, body.Length)}", body, false) : default);
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        await AssertServedAsync(mirror);
    }

    [Theory]
    [InlineData("Content-Length: {0}, 7\r\n")]
    [InlineData("Content-Length: {0}\r\nContent-Length: 7\r\n")]
    public async Task Different_lengths_of_one_body_are_an_error_that_names_them(string lengths)
    {
        MirrorProcess.Availability.OrSkip();
        using var upstream = new RawUpstream((_, path) => ($"{string.Format(null, lengths, Body(path).Length)}", Body(path), false));
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        using var blob = await mirror.GetAsync($"{Name}/blobs/{Digest.Of(Blob)}");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, blob.StatusCode);
        Assert.Contains("different lengths", await blob.Content.ReadAsStringAsync(Cancel));
    }

    // The connection closes after the last byte, and the chunk that ends the body never comes.
    [Fact]
    public async Task Bytes_with_the_right_digest_are_the_content_also_if_the_end_of_the_body_is_missing()
    {
        MirrorProcess.Availability.OrSkip();
        using var upstream = new RawUpstream((method, path) => method == "HEAD"
            ? ("Connection: close\r\n", [], true)
            : ($"Content-Type: {TypeOf(path)}\r\nTransfer-Encoding: chunked\r\n", RawUpstream.Chunks(Body(path)), true));
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        await AssertServedAsync(mirror);
        // The manifest once; the blob, after a request for one byte, because its HEAD tells no length.
        Assert.Equal(3, upstream.Gets);
    }

    [Fact]
    public async Task A_body_in_chunks_that_is_cut_before_its_last_byte_is_requested_again()
    {
        MirrorProcess.Availability.OrSkip();
        var asked = 0;
        using var upstream = new RawUpstream((method, path) => method == "HEAD"
            ? ("Connection: close\r\n", [], true)
            : ("Transfer-Encoding: chunked\r\n",
                RawUpstream.Chunks(Interlocked.Increment(ref asked) <= 2 ? Body(path)[..70_000] : Body(path)), true));
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        using var blob = await mirror.GetAsync($"{Name}/blobs/{Digest.Of(Blob)}");
        Assert.Equal(Blob, await blob.Content.ReadAsByteArrayAsync(Cancel));
    }

    private static async Task AssertServedAsync(MirrorProcess mirror)
    {
        using (var manifest = await mirror.GetAsync($"{Name}/manifests/{Digest.Of(Document)}"))
            Assert.Equal(Document, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        using var blob = await mirror.GetAsync($"{Name}/blobs/{Digest.Of(Blob)}");
        Assert.Equal(HttpStatusCode.OK, blob.StatusCode);
        Assert.Equal(Blob, await blob.Content.ReadAsByteArrayAsync(Cancel));
    }

    private static byte[] Body(string path) => path.Contains("/blobs/", StringComparison.Ordinal) ? Blob : Document;

    private static string TypeOf(string path) =>
        path.Contains("/blobs/", StringComparison.Ordinal) ? "application/octet-stream" : MediaTypes.OciManifest;

    private static byte[] HubBytes(int length)
    {
        var bytes = new byte[length];
        HubBlob.Seeded(7, length).Read(0, bytes);
        return bytes;
    }
}
