using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Pushes as clients make them, and what is expected of them while garbage is collected.</summary>
internal static class Pushes
{
    private const int SharedLayers = 10;

    private static readonly ImageTypes Types = new(Oci: true);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>An image that shares half of its blobs with others.</summary>
    internal static (byte[] Manifest, byte[][] Blobs) Image(int image)
    {
        byte[][] blobs = [.. Enumerable.Range(0, 6).Select(i => Blob(i < 3 ? $"shared {(image * 3 + i) % SharedLayers}" : $"own {image} {i}"))];
        return (ManifestText.Image(Types, (Digest.Of(blobs[5]), blobs[5].Length), blobs[..5].Select(blob => (Digest.Of(blob), (long)blob.Length))), blobs);
    }

    /// <summary>Collects everything that no tag names, without any grace; false where another collection is at it.</summary>
    internal static async Task<bool> TryCollectAsync(MirrorProcess mirror)
    {
        try
        {
            await mirror.CollectAsync("-m", "-q");
            return true;
        }
        catch (PeerFailedException busy) when (busy.Message.Contains("another garbage collection", StringComparison.Ordinal))
        {
            return false;
        }
    }

    /// <summary>Pushes what is not there; false where a blob was collected before the manifest named it: a client pushes again then.</summary>
    internal static async Task<bool> PushAsync(MirrorProcess mirror, string name, string tag, byte[] manifest, byte[][] blobs)
    {
        foreach (var blob in blobs)
        {
            var digest = Digest.Of(blob);
            using var there = await mirror.HeadAsync($"{name}/blobs/{digest}");
            if (there.StatusCode == HttpStatusCode.OK)
                continue;
            using var pushed = await SendAsync(mirror, HttpMethod.Post, $"{name}/blobs/uploads/?digest={digest}", blob, "application/octet-stream");
            Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        }
        using var response = await SendAsync(mirror, HttpMethod.Put, $"{name}/manifests/{tag}", manifest, Types.Manifest);
        if (response.StatusCode == HttpStatusCode.Created)
            return true;
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("MANIFEST_BLOB_UNKNOWN", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        return false;
    }

    internal static async Task DeleteAsync(MirrorProcess mirror, string name, byte[] manifest)
    {
        using var deleted = await Http.Client.DeleteAsync(Url(mirror, $"{name}/manifests/{Digest.Of(manifest)}"), Cancel);
        Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
    }

    internal static async Task AssertWholeAsync(MirrorProcess mirror, string name, string tag, byte[] manifest, byte[][] blobs)
    {
        using var response = await mirror.GetAsync($"{name}/manifests/{tag}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(manifest, await response.Content.ReadAsByteArrayAsync(Cancel));
        foreach (var blob in blobs)
        {
            using var got = await mirror.GetAsync($"{name}/blobs/{Digest.Of(blob)}");
            Assert.Equal(HttpStatusCode.OK, got.StatusCode);
            Assert.Equal(blob, await got.Content.ReadAsByteArrayAsync(Cancel));
        }
    }

    private static byte[] Blob(string text) => System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(text, 500)));

    private static Uri Url(MirrorProcess mirror, string path) => new(mirror.Url, $"/v2/{path}");

    private static async Task<HttpResponseMessage> SendAsync(MirrorProcess mirror, HttpMethod method, string path, byte[] body, string type)
    {
        using var request = new HttpRequestMessage(method, Url(mirror, path)) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(type);
        return await Http.Client.SendAsync(request, Cancel);
    }
}
