using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Pushes like those of clients, and what must hold for them while garbage is collected.</summary>
internal static class Pushes
{
    private const int SharedLayers = 10;

    private static readonly ImageTypes Types = new(Oci: true);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>An image that shares half of its blobs with others.</summary>
    internal static (byte[] Manifest, byte[][] Blobs) Image(int image)
    {
        byte[][] blobs =
        [
            .. Enumerable.Range(0, 3).Select(i => Blob($"shared {(image * 3 + i) % SharedLayers}")),
            .. Enumerable.Range(3, 3).Select(i => Blob($"own {image} {i}")),
        ];
        var layers = blobs[..5].Select(blob => (Digest.Of(blob), (long)blob.Length));
        return (ManifestText.Image(Types, (Digest.Of(blobs[5]), blobs[5].Length), layers), blobs);
    }

    /// <summary>Collects everything that no tag names, without a grace; false where another collection is running.</summary>
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

    /// <summary>
    /// Pushes missing blobs and the manifest; false where a blob was collected in between, so that the client must push again.
    /// </summary>
    internal static async Task<bool> PushAsync(MirrorProcess mirror, string name, string tag, byte[] manifest, byte[][] blobs)
    {
        foreach (var blob in blobs)
        {
            var digest = Digest.Of(blob);
            using var there = await mirror.HeadAsync($"{name}/blobs/{digest}");
            if (there.StatusCode == HttpStatusCode.OK)
                continue;
            var path = $"{name}/blobs/uploads/?digest={digest}";
            using var pushed = await SendAsync(mirror, HttpMethod.Post, path, blob, "application/octet-stream");
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
