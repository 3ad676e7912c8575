using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Requests that few clients send and registry:2 answers.</summary>
public sealed class OddRequestTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private readonly PushedRepository _repository = registry.NewRepository();

    [Theory]
    [InlineData("manifests/.no", "MANIFEST_UNKNOWN")]
    [InlineData("manifests/a%20tag", "MANIFEST_UNKNOWN")]
    [InlineData("manifests/sha256:abc", "MANIFEST_UNKNOWN")]
    [InlineData("manifests/md5:900150983cd24fb0d6963f7d28e17f72", "MANIFEST_UNKNOWN")]
    [InlineData("blobs/sha256:abc", "BLOB_UNKNOWN")]
    [InlineData("blobs/latest", "BLOB_UNKNOWN")]
    public async Task What_cannot_exist_by_its_spelling_does_not_exist(string path, string code)
    {
        using var get = await _repository.SendAsync("GET", path);
        await AssertErrorAsync(get, 404, code);
        Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("HEAD", path));
    }

    [Fact]
    public async Task An_empty_parameter_is_an_absent_one()
    {
        var (digest, _) = await _repository.PushManifestAsync("1");
        Assert.Equal(["1"], await _repository.TagsAsync("?n=&last="));
        Assert.Equal(HttpStatusCode.OK, await _repository.StatusOfAsync("GET", $"referrers/{digest}?artifactType=&last="));
        var catalog = new Uri(registry.Mirror.Url, "/v2/_catalog?n=&last=").ToString();
        Assert.Equal(HttpStatusCode.OK, await _repository.StatusOfAsync("GET", catalog));
        Assert.Equal(HttpStatusCode.Accepted,
            await _repository.StatusOfAsync("POST", "blobs/uploads/?mount=&from=&digest=&digest-algorithm="));
    }

    [Fact]
    public async Task A_refused_manifest_names_every_missing_blob_up_to_a_hundred()
    {
        string[] missing = [.. Enumerable.Range(0, 150).Select(i => Digest.Of(Encoding.ASCII.GetBytes($"missing {i}")).ToString())];
        foreach (var count in new[] { 2, 150 })
        {
            var layers = missing[1..count].Select(digest => $$"""{"mediaType":"a/b","digest":"{{digest}}","size":1}""");
            var manifest = $$"""
                {"schemaVersion":2,"config":{"mediaType":"a/b","digest":"{{missing[0]}}","size":1},"layers":[{{string.Join(',', layers)}}]}
                """;
            using var put = await _repository.SendAsync("PUT", "manifests/t", Encoding.UTF8.GetBytes(manifest), OciManifest);
            Assert.Equal(HttpStatusCode.NotFound, put.StatusCode);
            using var body = JsonDocument.Parse(await put.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
            var named = body.RootElement.GetProperty("errors").EnumerateArray().Select(error =>
                (error.GetProperty("code").GetString(), error.GetProperty("detail").GetString()!.Split(' ')[^1]));
            Assert.Equal(missing.Take(Math.Min(count, 100)).Select(digest => ((string?)"MANIFEST_BLOB_UNKNOWN", digest)), named);
        }
    }

    [Theory]
    [InlineData("POST", "/v2/{0}/blobs/uploads/", "", 202)]
    [InlineData("POST", "/v2/{0}/blobs/uploads/", "Host: registry\r\nConnection: close\r\n", 202)]
    [InlineData("POST", "/v2/{0}/blobs/uploads/", "Content-Length: 0\r\n", 202)]
    [InlineData("PUT", "/v2/{0}/manifests/t", "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n", 400)]
    [InlineData("GET", "/v2/", "", 200)]
    public async Task HTTP_1_0_needs_no_length_for_no_body(string method, string path, string headers, int status)
    {
        var target = string.Format(System.Globalization.CultureInfo.InvariantCulture, path, _repository.Name);
        var line = await RawAsync($"{method} {target} HTTP/1.0\r\n{headers}\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_blob_is_pushed_by_HTTP_1_0()
    {
        var bytes = "POST / HTTP/1.0\r\n\r\n";
        var path = new Uri(new Uri(registry.Mirror.Url, "/"), await _repository.BeginAsync()).AbsolutePath;
        var line = await RawAsync($"PATCH {path} HTTP/1.0\r\nContent-Length: {bytes.Length}\r\n\r\n{bytes}");
        Assert.StartsWith("HTTP/1.1 202 ", line, StringComparison.Ordinal);
        line = await RawAsync($"PUT {path}?digest={Digest.Of(Encoding.ASCII.GetBytes(bytes))} HTTP/1.0\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 201 ", line, StringComparison.Ordinal);
        Assert.Equal(bytes, await _repository.TextAsync($"blobs/{Digest.Of(Encoding.ASCII.GetBytes(bytes))}"));
    }

    [Theory]
    [InlineData("/debug/health")]
    [InlineData("/debug/live")]
    [InlineData("/debug/ready")]
    [InlineData("/metrics")]
    public async Task The_debug_port_answers_HEAD_as_GET(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, new Uri(registry.Mirror.Debug, path));
        using var head = await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
        using var get = await Http.Client.GetAsync(new Uri(registry.Mirror.Debug, path), TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (head.StatusCode, get.StatusCode));
        Assert.Equal(get.Content.Headers.ContentType, head.Content.Headers.ContentType);
        Assert.Empty(await head.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task No_browser_takes_an_answer_for_a_page_or_a_script()
    {
        var blob = await _repository.PushAsync("<script>alert(1)</script>"u8.ToArray());
        var (manifest, _) = await _repository.PushManifestAsync("1");
        foreach (var path in new[]
        {
            $"blobs/{blob}", "blobs/nothing", "manifests/1", "manifests/nothing", "tags/list", $"referrers/{manifest}", "no/such/route",
            new Uri(registry.Mirror.Url, "/v2/_catalog").ToString(), new Uri(registry.Mirror.Url, "/v2/").ToString(),
        })
        {
            using var response = await _repository.SendAsync("GET", path);
            Assert.Equal("nosniff", Header(response, "X-Content-Type-Options"));
            Assert.StartsWith("default-src 'none';", Header(response, "Content-Security-Policy"), StringComparison.Ordinal);
        }
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_HEADERS"] = "{Content-Security-Policy: [default-src https:]}" },
        });
        using var configured = await mirror.GetAsync("");
        Assert.Equal("default-src https:", Header(configured, "Content-Security-Policy"));
    }

    private async Task<string> RawAsync(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(registry.Mirror.Url.Host, registry.Mirror.Url.Port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
        var answer = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
        return answer.Split('\r')[0];
    }
}
