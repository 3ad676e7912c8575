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
    public async Task A_list_may_begin_after_a_text_that_is_no_name()
    {
        await _repository.PushManifestAsync("1");
        Assert.Equal(["1"], await _repository.TagsAsync("?last=-"));
        foreach (var last in new[] { "team/", "Team", "~", "a b", "%00" })
        {
            var catalog = new Uri(registry.Mirror.Url, $"/v2/_catalog?last={last}").ToString();
            Assert.Equal(HttpStatusCode.OK, await _repository.StatusOfAsync("GET", catalog));
        }
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
    [InlineData("GET /v2/ HTTP/1.1\r\nHost: m\r\nX-Forwarded-User: Jos\u00e9\r\nConnection: close\r\n\r\n", 200)]
    [InlineData("GET /v2/ HTTP/1.1\r\nHost: m\r\nX-Forwarded-User: a\0b\r\nConnection: close\r\n\r\n", 400)]
    [InlineData("GET http://other.example:5000/v2/ HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", 200)]
    public async Task What_few_clients_send_and_HTTP_allows_is_answered(string request, int status) =>
        Assert.StartsWith($"HTTP/1.1 {status} ", await RawAsync(request), StringComparison.Ordinal);

    // HAProxy's check of a server, unless it is told otherwise, is the second one.
    [Theory]
    [InlineData("GET / HTTP/1.0\r\n")]
    [InlineData("OPTIONS / HTTP/1.0\r\n")]
    [InlineData("OPTIONS * HTTP/1.1\r\nHost: m\r\nConnection: close\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\nConnection: close\r\n")]
    public async Task Every_method_finds_the_server_itself(string head) =>
        Assert.StartsWith("HTTP/1.1 200 ", await RawAsync($"{head}\r\n"), StringComparison.Ordinal);

    [Fact]
    public async Task Many_headers_and_a_long_address_are_answered()
    {
        var headers = string.Concat(Enumerable.Range(0, 200).Select(i => $"X-Front-{i}: x\r\n"));
        var line = await RawAsync($"GET /v2/?x={new string('x', 12_000)} HTTP/1.1\r\nHost: m\r\n{headers}Connection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_that_is_refused_before_the_registry_sees_it_has_a_line()
    {
        var headers = string.Concat(Enumerable.Range(0, 1001).Select(i => $"X-{i}: x\r\n"));
        // There is one line a minute, and other tests send such requests too.
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        Assert.StartsWith("HTTP/1.1 431 ", await RawAsync($"GET /v2/ HTTP/1.1\r\n{headers}\r\n", of: mirror), StringComparison.Ordinal);
        await mirror.UntilLoggedOnceAsync(line => line.Contains("a request of 127.0.0.1 got 431", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("bytes=10-18446744073709551615", "bytes 10-29/30")]
    [InlineData("bytes=10-9223372036854775808", "bytes 10-29/30")]
    [InlineData("bytes=-18446744073709551616", "bytes 0-29/30")]
    [InlineData("bytes=18446744073709551615-", null)]
    [InlineData("bytes=18446744073709551615-20", null)]
    public async Task The_numbers_of_a_range_may_be_of_any_size(string range, string? part)
    {
        var digest = await _repository.PushAsync(new byte[30]);
        using var response = await _repository.SendAsync("GET", $"blobs/{digest}", headers: ("Range", range));
        Assert.Equal(part is null ? 416 : 206, (int)response.StatusCode);
        if (part is not null)
            Assert.Equal(part, Header(response, "Content-Range"));
    }

    [Fact]
    public async Task An_empty_Content_Range_is_an_absent_one()
    {
        var path = new Uri(new Uri(registry.Mirror.Url, "/"), await _repository.BeginAsync()).AbsolutePath;
        var line = await RawAsync(
            $"PATCH {path} HTTP/1.1\r\nHost: m\r\nContent-Range:\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
        Assert.StartsWith("HTTP/1.1 202 ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_two_media_types_of_a_push_the_first_counts()
    {
        var manifest = Encoding.UTF8.GetString(Manifest(await _repository.PushAsync("config"u8.ToArray())));
        var line = await RawAsync(
            $"PUT /v2/{_repository.Name}/manifests/1 HTTP/1.1\r\nHost: m\r\nContent-Type: {OciManifest}\r\nContent-Type: {OciManifest}\r\n"
            + $"Content-Length: {manifest.Length}\r\nConnection: close\r\n\r\n{manifest}");
        Assert.StartsWith("HTTP/1.1 201 ", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PUT", "/v2/", "GET, HEAD, OPTIONS")]
    [InlineData("POST", "/v2/_catalog", "GET, HEAD, OPTIONS")]
    [InlineData("PUT", "/v2/some/app/tags/list", "GET, HEAD, OPTIONS")]
    [InlineData("POST", "/v2/some/app/manifests/1", "GET, HEAD, PUT, DELETE, OPTIONS")]
    [InlineData("PATCH", "/v2/some/app/blobs/uploads/", "POST, OPTIONS")]
    public async Task A_method_that_a_route_does_not_have_is_answered_with_those_that_it_has(string method, string path, string methods)
    {
        using var response = await _repository.SendAsync(method, new Uri(registry.Mirror.Url, path).ToString());
        await AssertErrorAsync(response, 405, "UNSUPPORTED");
        Assert.Equal(methods, Header(response, "Allow"));
    }

    [Fact]
    public async Task The_case_of_a_media_type_means_nothing()
    {
        var bytes = Manifest(await _repository.PushAsync("config"u8.ToArray()));
        using var put = await _repository.SendAsync("PUT", "manifests/1", bytes, OciManifest.ToUpperInvariant());
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        using var get = await _repository.SendAsync("GET", "manifests/1");
        Assert.Equal(OciManifest, get.Content.Headers.ContentType?.MediaType);
    }

    [Theory]
    [InlineData("\"DIGEST\"", 200)]
    [InlineData("\"x\", \"DIGEST\"", 200)]
    [InlineData("*", 200)]
    [InlineData("\"x\"", 412)]
    [InlineData("W/\"DIGEST\"", 412)]
    public async Task Content_that_If_Match_does_not_name_is_not_sent(string condition, int status)
    {
        var blob = await _repository.PushAsync("content"u8.ToArray());
        var (manifest, _) = await _repository.PushManifestAsync("1");
        foreach (var (path, digest) in new[] { ($"blobs/{blob}", blob), ("manifests/1", manifest), ($"manifests/{manifest}", manifest) })
            foreach (var method in new[] { "GET", "HEAD" })
            {
                using var response = await _repository.SendAsync(
                    method, path, headers: ("If-Match", condition.Replace("DIGEST", digest.ToString(), StringComparison.Ordinal)));
                Assert.Equal(status, (int)response.StatusCode);
            }
    }

    [Theory]
    [InlineData("If-Match", "\"DIGEST\"", true)]
    [InlineData("If-Match", "*", true)]
    [InlineData("If-Match", "\"x\"", false)]
    [InlineData("If-Match", "W/\"DIGEST\"", false)]
    [InlineData("If-None-Match", "*", false)]
    [InlineData("If-None-Match", "\"DIGEST\"", false)]
    [InlineData("If-None-Match", "\"x\"", true)]
    public async Task A_manifest_is_replaced_or_deleted_only_if_the_client_means_the_one_that_is_there(
        string header, string condition, bool isMet)
    {
        var (first, _) = await _repository.PushManifestAsync("1");
        var asked = (header, condition.Replace("DIGEST", first.ToString(), StringComparison.Ordinal));
        var other = Manifest(await _repository.PushAsync("other"u8.ToArray()));
        foreach (var path in new[] { "manifests/1", $"manifests/{first}" })
        {
            using (var delete = await _repository.SendAsync("DELETE", path, headers: asked))
                Assert.Equal(isMet ? 202 : 412, (int)delete.StatusCode);
            await _repository.PushManifestAsync("1");
        }
        using (var put = await _repository.SendAsync("PUT", "manifests/1", other, OciManifest, asked))
            Assert.Equal(isMet ? 201 : 412, (int)put.StatusCode);
        using var now = await _repository.SendAsync("HEAD", "manifests/1");
        Assert.Equal((isMet ? Digest.Of(other) : first).ToString(), Header(now, "Docker-Content-Digest"));
    }

    [Fact]
    public async Task A_tag_that_there_is_not_is_made_if_the_client_asks_for_none_and_not_if_it_asks_for_one()
    {
        var bytes = Manifest(await _repository.PushAsync("config"u8.ToArray()));
        using (var lost = await _repository.SendAsync("PUT", "manifests/1", bytes, OciManifest, ("If-Match", "*")))
            await AssertErrorAsync(lost, 412, "UNSUPPORTED");
        using (var unknown = await _repository.SendAsync("DELETE", "manifests/1", headers: ("If-Match", "*")))
            await AssertErrorAsync(unknown, 404, "MANIFEST_UNKNOWN");
        using var made = await _repository.SendAsync("PUT", "manifests/1", bytes, OciManifest, ("If-None-Match", "*"));
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
    }

    [Fact]
    public async Task A_client_that_speaks_TLS_to_the_plain_port_gets_400_and_the_log_says_so()
    {
        using var client = new TcpClient(AddressFamily.InterNetwork);
        await client.ConnectAsync(IPAddress.Loopback, registry.Mirror.Url.Port, TestContext.Current.CancellationToken);
        // A ClientHello always has a byte 10, for the extension supported_groups.
        await client.GetStream().WriteAsync((byte[])[22, 3, 1, 0, 6, 1, 0, 0, 2, 0, 10], TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream());
        Assert.StartsWith("HTTP/1.1 400 ", await reader.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await registry.Mirror.UntilLoggedAsync(
            line => line.Contains(" sent TLS", StringComparison.Ordinal) && line.Contains("http.tls", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("%2F")]
    [InlineData("%2f")]
    public async Task A_slash_in_a_name_may_be_escaped(string slash)
    {
        var escaped = new PushedRepository(registry.Mirror, _repository.Name.Replace("/", slash, StringComparison.Ordinal));
        var begun = await escaped.BeginAsync();
        Assert.Contains($"/v2/{_repository.Name}/blobs/uploads/", begun, StringComparison.Ordinal);
        var content = "in parts"u8.ToArray();
        var upload = new Uri(registry.Mirror.Url, begun).ToString().Replace(_repository.Name, escaped.Name, StringComparison.Ordinal);
        using (var patch = await escaped.SendAsync("PATCH", upload, content))
            Assert.Equal(HttpStatusCode.Accepted, patch.StatusCode);
        using (var put = await escaped.SendAsync("PUT", $"{upload}?digest={Digest.Of(content)}"))
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        Assert.Equal(content, await _repository.BytesAsync($"blobs/{Digest.Of(content)}"));
        var (_, bytes) = await escaped.PushManifestAsync("1");
        Assert.Equal(bytes, await _repository.BytesAsync("manifests/1"));
        Assert.Equal(bytes, await escaped.BytesAsync("manifests/1"));
        Assert.Equal(["1"], await escaped.TagsAsync());
    }

    [Theory]
    [InlineData("..%2F..%2Fetc/tags/list", "NAME_INVALID", 400)]
    [InlineData("a%2F..%2Fb/tags/list", "NAME_INVALID", 400)]
    [InlineData("%2Fetc/tags/list", "NAME_INVALID", 400)]
    [InlineData("a%252Fb/tags/list", "NAME_INVALID", 400)]
    [InlineData("a%2Fb/manifests/x%2Fy", "MANIFEST_UNKNOWN", 404)]
    [InlineData("a%2Fb/blobs/sha256%2Fy", "BLOB_UNKNOWN", 404)]
    public async Task An_escaped_slash_makes_no_other_name_valid_and_no_tag_or_digest(string path, string code, int status)
    {
        var line = await RawAsync($"GET /v2/{path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", whole: true);
        Assert.StartsWith($"HTTP/1.1 {status} ", line, StringComparison.Ordinal);
        Assert.Contains($"\"{code}\"", line, StringComparison.Ordinal);
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
            new Uri(registry.Mirror.Debug, "/metrics").ToString(), new Uri(registry.Mirror.Debug, "/debug/health").ToString(),
            new Uri(registry.Mirror.Debug, "/debug/ready").ToString(), new Uri(registry.Mirror.Debug, "/nothing").ToString(),
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

    private async Task<string> RawAsync(string request, bool whole = false, MirrorProcess? of = null)
    {
        using var client = new TcpClient();
        var url = (of ?? registry.Mirror).Url;
        await client.ConnectAsync(url.Host, url.Port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
        var answer = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
        return whole ? answer : answer.Split('\r')[0];
    }
}
