using System.IO.Compression;
using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>A hostile upstream, or an attacker in between: what it sees, and what it can make the mirror do.</summary>
public sealed class HostileUpstreamTests : MirrorOfHub
{
    private const string Canary = "canary-3b8e";
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 100_000);

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", Canary);
        return new() { Upstream = hub.Url, Username = "ann", Password = Canary, More = "  idle_timeout: 1s\n" };
    }

    [Fact]
    public async Task Neither_password_nor_token_is_seen_by_another_host()
    {
        await using var foreign = await ScriptedHub.StartAsync("127.0.0.2");
        Hub.AddImage(Repository, "latest", Layer);
        // The mirror gets a token first. Then upstream redirects all requests to another host.
        using (await Mirror.GetAsync(ManifestPath("latest")))
        {
        }
        foreach (var target in
            from origin in new[] { foreign.Registry, foreign.Token, foreign.Cdn }
            from url in new[] { $"{origin.Url}v2/x", $"//{origin.Authority}/x", $"http://ann:{Canary}@{origin.Authority}/x" }
            select url)
        {
            using var rule = Hub.Script(r => r.Asked is Asked.Blob or Asked.Manifest, Answer.Redirect(target));
            var digest = Digest.Of(Encoding.UTF8.GetBytes(target));
            foreach (var path in new[] { ManifestPath("other"), ManifestPath(digest), BlobPath(digest) })
                using (var response = await Mirror.GetAsync(path))
                    Assert.NotEqual(HttpStatusCode.OK, response.StatusCode);
        }
        foreach (var (i, realm) in new[]
        {
            foreign.Realm.OriginalString, $"http://user@{Hub.Token.Authority}/token",
            $"http://{foreign.Registry.Authority}/token?service=x",
        }.Index())
        {
            Hub.RevokeTokens();
            Hub.Realm = new Uri(realm);
            using var response = await Mirror.GetAsync(ManifestPath($"third-{i}"));
            // Asked without the login, a foreign service grants nothing. A realm with a user name in it is not asked at all.
            var isAsked = !realm.Contains('@', StringComparison.Ordinal);
            await AssertErrorAsync(isAsked ? HttpStatusCode.Forbidden : HttpStatusCode.ServiceUnavailable, response);
        }
        Assert.NotEmpty(foreign.Log.Requests);
        Assert.All(foreign.Log.Requests, request => Assert.Null(request.Authorization));
        Assert.DoesNotContain(foreign.Log.Requests, request => request.ToString().Contains(Canary, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_web_page_is_no_blob()
    {
        Hub.AddImage(Repository, "latest", Layer);
        using (Hub.Script(r => r.Asked is Asked.Blob && r.Method == "GET", Answer.Html()))
            await AssertNeverWholeAsync();
        using (Hub.Script(Asked.BlobBytes, Answer.Html()))
            await AssertNeverWholeAsync();
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
    }

    [Fact]
    public async Task A_body_with_a_content_encoding_is_no_blob()
    {
        Hub.AddImage(Repository, "latest", Layer);
        using (Hub.Script(Asked.BlobBytes, Answer.By(async context =>
        {
            context.Response.Headers.ContentEncoding = "gzip";
            await using var gzip = new GZipStream(context.Response.Body, CompressionLevel.Fastest);
            await gzip.WriteAsync(Layer.Slice(0, Layer.Size));
        })))
            await AssertNeverWholeAsync();
    }

    [Fact]
    public async Task Endless_headers_are_an_error()
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(Asked.Manifest, Answer.By(context =>
        {
            for (var i = 0; i < 20_000; i++)
                context.Response.Headers[$"x-{i}"] = "0123456789012345678901234567890123456789";
            return Task.CompletedTask;
        }));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await response.Content.LoadIntoBufferAsync(Cancel);
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        // Upstream was reached: the answer and the log name what is wrong with it.
        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("headers have more than 64 KiB", text);
        Assert.DoesNotContain("cannot be reached", text);
        Assert.Contains(Mirror.Log, line =>
            line.Contains("headers have more than 64 KiB", StringComparison.Ordinal)
            && line.Contains("to send smaller headers", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("endless")]
    [InlineData("a byte too long")]
    [InlineData("deep")]
    [InlineData("drip")]
    public async Task A_manifest_bomb_costs_little_memory_and_is_no_manifest(string kind)
    {
        Hub.AddImage(Repository, "latest", Layer);
        var before = Mirror.PeakResident;
        Hub.Script(r => r.Asked == Asked.Manifest && r.Method == "GET", Answer.By(async context =>
        {
            context.Response.ContentType = "application/vnd.oci.image.manifest.v1+json";
            var (open, close) = ("{\"layers\":["u8.ToArray(), "]}"u8.ToArray());
            await context.Response.Body.WriteAsync(open, context.RequestAborted);
            if (kind == "deep")
            {
                for (var i = 0; i < 50_000; i++)
                    await context.Response.Body.WriteAsync("[{\"a\":"u8.ToArray(), context.RequestAborted);
                return;
            }
            if (kind == "drip")
                await new Gate().PassAsync(context.RequestAborted);
            var spaces = Enumerable.Repeat((byte)' ', 64 * 1024).ToArray();
            for (var i = 0; kind == "endless" || i < 64; i++)
                await context.Response.Body.WriteAsync(spaces, context.RequestAborted);
            await context.Response.Body.WriteAsync(close, context.RequestAborted);
        }));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.InRange(Mirror.PeakResident - before, 0, 100 << 20);
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(null)]
    public async Task An_endless_blob_that_no_manifest_names_does_not_fill_the_disk(int? length)
    {
        var digest = Digest.Of("never ends"u8);
        Hub.Script(r => r.Asked == Asked.Blob && r.Method == "HEAD", Answer.By(context =>
        {
            context.Response.ContentLength = length;
            return Task.CompletedTask;
        }));
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Hub.Script(r => r.Asked == Asked.Blob && r.Method == "GET", Answer.By(async context =>
        {
            context.Response.ContentType = "application/octet-stream";
            var some = new byte[256 * 1024];
            try
            {
                while (true)
                    await context.Response.Body.WriteAsync(some, context.RequestAborted);
            }
            finally
            {
                ended.TrySetResult();
            }
        }));
        // The response is aborted before or after its headers.
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            using var response = await Mirror.GetAsync(BlobPath(digest));
            response.EnsureSuccessStatusCode();
            await DigestOfAsync(response);
        });
        // The mirror closes the connection and deletes the bytes.
        await ended.Task.WaitAsync(Cancel);
        Assert.InRange(await Mirror.MetricAsync("mirror_upstream_bytes_total", ("type", "blob")), 1, length is null ? 300L << 20 : 1 << 20);
        var fills = Path.Combine(Mirror.Root, RegistryLayout.Fills);
        await Until.TrueAsync(() => !Directory.EnumerateFiles(fills, "*", SearchOption.AllDirectories).Any(), () => "The bytes are kept.");
    }

    [Fact]
    public async Task The_urls_of_a_foreign_layer_are_not_requested()
    {
        await using var foreign = await ScriptedHub.StartAsync("127.0.0.2");
        var digest = Digest.Of("foreign"u8);
        Hub.AddManifest(Repository, "latest", "application/vnd.docker.distribution.manifest.v2+json", Encoding.UTF8.GetBytes(
            $$$"""
            {
              "schemaVersion": 2,
              "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
              "config": { "mediaType": "x", "digest": "{{{digest}}}", "size": 1 },
              "layers": [
                {
                  "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                  "digest": "{{{digest}}}",
                  "size": 7,
                  "urls": ["{{{foreign.Registry.Url}}}x"]
                }
              ]
            }
            """));
        using (await Mirror.GetAsync(ManifestPath("latest")))
        using (var response = await Mirror.GetAsync(BlobPath(digest)))
            await AssertErrorAsync(HttpStatusCode.NotFound, response);
        Assert.Empty(foreign.Log.Requests);
    }

    private async Task AssertNeverWholeAsync()
    {
        using (await Mirror.GetAsync(ManifestPath("latest")))
        using (var response = await Mirror.GetAsync(BlobPath(Layer.Digest)))
            if (response.StatusCode == HttpStatusCode.OK)
                await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsByteArrayAsync(Cancel));
            else
                await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.False(IsStored(Layer.Digest));
    }
}
