using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Pushes whose requests reach different replicas.</summary>
public abstract class PushTests(StoreKind? kind) : FleetOfHub(kind)
{
    private const string Pushed = "local/app";
    private const string ManifestType = "application/vnd.oci.image.manifest.v1+json";

    [Fact]
    public async Task An_upload_goes_on_at_any_replica()
    {
        var blob = HubBlob.Seeded(1, 3 * MiB);
        var location = await StartAsync(Replicas[0]);
        for (var i = 0; i < 3; i++)
        {
            var chunk = blob.Slice(i * MiB, (i + 1) * MiB);
            using var patched = await SendAsync(Replicas[(i + 1) % 3], HttpMethod.Patch, location, chunk, i * MiB);
            Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);
            Assert.Equal($"0-{(i + 1) * MiB - 1}", patched.Headers.GetValues("Range").Single());
            location = Http.LocationOf(patched).PathAndQuery;
        }
        using (var status = await SendAsync(Replicas[2], HttpMethod.Get, location))
            Assert.Equal(HttpStatusCode.NoContent, status.StatusCode);
        using (var put = await SendAsync(Replicas[1], HttpMethod.Put, $"{location}&digest={blob.Digest}", []))
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        foreach (var replica in Replicas)
        {
            using var pulled = await PullAsync(replica.Url, blob.Digest, Pushed);
            Assert.Equal(blob.Digest, await DigestOfAsync(pulled));
        }
    }

    [Fact]
    public async Task An_upload_is_cancelled_at_any_replica()
    {
        // With an escaped slash in the name, as some clients write it.
        var location = (await StartAsync(Replicas[0])).Replace(Pushed, Uri.EscapeDataString(Pushed), StringComparison.Ordinal);
        using (var cancelled = await SendAsync(Replicas[1], HttpMethod.Delete, location))
            Assert.Equal(HttpStatusCode.NoContent, cancelled.StatusCode);
        using var gone = await SendAsync(Replicas[2], HttpMethod.Patch, location, [1]);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task A_request_whose_headers_have_any_letters_reaches_the_replica_with_the_upload()
    {
        var location = await StartAsync(Replicas[0]);
        using var client = new TcpClient();
        await client.ConnectAsync(Replicas[1].Url.Host, Replicas[1].Url.Port, Cancel);
        // A user's name in Latin-1, as a proxy adds it.
        var request = $"DELETE {location} HTTP/1.1\r\nHost: m\r\nX-Forwarded-User: José\r\nConnection: close\r\n\r\n";
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request), Cancel);
        using var reader = new StreamReader(client.GetStream());
        Assert.StartsWith("HTTP/1.1 204 ", await reader.ReadToEndAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pushes_moves_and_deletions_are_seen_by_all_replicas()
    {
        var config = HubBlob.Of("{}"u8.ToArray());
        await PushAsync(config);
        var one = Manifest(config, "one");
        var two = Manifest(config, "two");
        await PutManifestAsync(one);
        foreach (var replica in Replicas)
            Assert.Equal(one, await TagAsync(replica));
        await PutManifestAsync(two);
        foreach (var replica in Replicas)
            await Until.TrueAsync(
                async () => (await TagAsync(replica))?.SequenceEqual(two) == true, () => "A replica did not see the tag move.");
        using (var deleted = await SendAsync(Replicas[1], HttpMethod.Delete, $"/v2/{Pushed}/manifests/{Storage.Digest.Of(two)}"))
            Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        foreach (var replica in Replicas)
        {
            await Until.TrueAsync(async () => await TagAsync(replica) is null, () => "A replica did not see the deletion.");
            await Until.TrueAsync(
                async () =>
                {
                    using var byDigest = await replica.GetAsync(ManifestPath(Storage.Digest.Of(two), Pushed));
                    return byDigest.StatusCode == HttpStatusCode.NotFound;
                },
                () => "A replica still serves a deleted manifest.");
        }
    }

    private static byte[] Manifest(HubBlob config, string which) => System.Text.Encoding.UTF8.GetBytes($$$"""
        {
          "schemaVersion": 2, "mediaType": "{{{ManifestType}}}", "layers": [], "annotations": {"which": "{{{which}}}"},
          "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "{{{config.Digest}}}", "size": {{{config.Size}}}}
        }
        """);

    private static async Task<byte[]?> TagAsync(MirrorProcess replica)
    {
        using var response = await replica.GetAsync(ManifestPath("latest", Pushed));
        return response.IsSuccessStatusCode ? await response.Content.ReadAsByteArrayAsync(Cancel) : null;
    }

    private async Task PutManifestAsync(byte[] manifest)
    {
        using var put = await SendAsync(Replicas[0], HttpMethod.Put, $"/v2/{Pushed}/manifests/latest", manifest, type: ManifestType);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
    }

    private async Task PushAsync(HubBlob blob)
    {
        var location = await StartAsync(Replicas[0]);
        using var put = await SendAsync(Replicas[1], HttpMethod.Put, $"{location}&digest={blob.Digest}", blob.Slice(0, blob.Size));
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
    }

    protected static async Task<string> StartAsync(MirrorProcess replica)
    {
        using var response = await SendAsync(replica, HttpMethod.Post, $"/v2/{Pushed}/blobs/uploads/");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        return Http.LocationOf(response).PathAndQuery;
    }

    protected static Task<HttpResponseMessage> SendAsync(
        MirrorProcess replica, HttpMethod method, string pathAndQuery, byte[]? body = null, long? from = null,
        string type = "application/octet-stream")
    {
        var request = new HttpRequestMessage(method, new Uri(replica.Url, pathAndQuery));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(type);
            if (from is { } offset)
                request.Content.Headers.TryAddWithoutValidation("Content-Range", $"{offset}-{offset + body.Length - 1}");
        }
        return Http.Client.SendAsync(request, Cancel);
    }
}

public sealed class PushOverAFolderTests() : PushTests(null)
{
    [Fact]
    public async Task An_upload_survives_the_replica_that_held_it_and_Redis()
    {
        var blob = HubBlob.Seeded(2, 2 * MiB);
        var location = await StartAsync(Replicas[0]);
        using (var first = await SendAsync(Replicas[0], HttpMethod.Patch, location, blob.Slice(0, MiB), 0))
            location = Http.LocationOf(first).PathAndQuery;
        await Redis.KillAsync();
        await Replicas[0].KillAsync();
        using (var second = await SendAsync(Replicas[1], HttpMethod.Patch, location, blob.Slice(MiB, 2 * MiB), MiB))
        {
            Assert.Equal(HttpStatusCode.Accepted, second.StatusCode);
            location = Http.LocationOf(second).PathAndQuery;
        }
        using var put = await SendAsync(Replicas[2], HttpMethod.Put, $"{location}&digest={blob.Digest}", []);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
    }
}

public abstract class PushToARemoteStoreTests(StoreKind kind) : PushTests(kind)
{
    // The first part is on the dead replica's own disk.
    [Fact]
    public async Task An_upload_whose_replica_is_gone_is_unknown_and_can_be_begun_again()
    {
        var blob = HubBlob.Seeded(2, 2 * MiB);
        var location = await StartAsync(Replicas[0]);
        using (var first = await SendAsync(Replicas[0], HttpMethod.Patch, location, blob.Slice(0, MiB), 0))
            location = Http.LocationOf(first).PathAndQuery;
        await Replicas[0].KillAsync();
        using (var second = await SendAsync(Replicas[1], HttpMethod.Patch, location, blob.Slice(MiB, 2 * MiB), MiB))
        {
            Assert.Equal(HttpStatusCode.NotFound, second.StatusCode);
            Assert.Contains("BLOB_UPLOAD_UNKNOWN", await second.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        }
        location = await StartAsync(Replicas[1]);
        using var put = await SendAsync(Replicas[2], HttpMethod.Put, $"{location}&digest={blob.Digest}", blob.Slice(0, blob.Size));
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
    }
}

public sealed class PushOverABucketTests() : PushToARemoteStoreTests(StoreKind.S3);

public sealed class PushOverAzureTests() : PushToARemoteStoreTests(StoreKind.Azure)
{
    protected override bool IsInSample(string test) => false;
}

public sealed class PushOverSwiftTests() : PushToARemoteStoreTests(StoreKind.Swift)
{
    protected override bool IsInSample(string test) => false;
}
