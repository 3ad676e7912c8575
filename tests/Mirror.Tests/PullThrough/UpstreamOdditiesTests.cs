using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Registries that answer as the specification does not say, and clients that ask in unusual ways.</summary>
public sealed class UpstreamOdditiesTests : IAsyncLifetime
{
    private const string Name = "acme/app";

    private readonly OrdinaryUpstream _upstream = new();
    private MirrorProcess _mirror = null!;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _upstream.Url, TagsCacheTtl = "0" });
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        _upstream.Dispose();
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task A_cached_tag_is_served_stale_while_upstream_refuses_the_mirror(int status)
    {
        var digest = AddManifest();
        await AssertAsync(HttpStatusCode.OK, "manifests/1");
        foreach (var method in new[] { "GET", "HEAD" })
            foreach (var reference in new[] { "1", digest.ToString(), "2" })
                _upstream.Answer(method, $"{Name}/manifests/{reference}", status, "{}"u8.ToArray());

        using var stale = await AssertAsync(HttpStatusCode.OK, "manifests/1");
        Assert.Equal("stale", Assert.Single(stale.Headers.GetValues("X-Cache")));
        await AssertAsync(HttpStatusCode.OK, "manifests/1");
        // Without an account, a refusal is how registries answer for names that do not exist.
        await AssertAsync(HttpStatusCode.NotFound, "manifests/2");
    }

    [Theory]
    [InlineData(300)]
    // A redirect without Location leads nowhere.
    [InlineData(302)]
    [InlineData(304)]
    [InlineData(400)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(406)]
    [InlineData(410)]
    [InlineData(500)]
    [InlineData(501)]
    [InlineData(503)]
    public async Task A_HEAD_that_upstream_refuses_is_asked_again_as_GET(int status)
    {
        AddManifest();
        var blob = AddBlob(new byte[10_000]);
        _upstream.Answer("HEAD", $"{Name}/manifests/1", status, []);
        _upstream.Answer("HEAD", $"{Name}/blobs/{blob}", status, []);

        using var head = await _mirror.HeadAsync($"{Name}/manifests/1");
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        using var size = await _mirror.HeadAsync($"{Name}/blobs/{blob}");
        Assert.Equal(HttpStatusCode.OK, size.StatusCode);
        using var whole = await AssertAsync(HttpStatusCode.OK, $"blobs/{blob}");
        Assert.Equal(10_000, (await whole.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)).Length);
    }

    [Fact]
    public async Task A_connection_that_upstream_closes_on_HEAD_is_no_outage_and_a_GET_decides()
    {
        AddManifest();
        var blob = AddBlob(new byte[10_000]);
        await using var front = await StoreFront.StartAsync(_upstream.Url, (_, _) => Task.CompletedTask);
        front.Faults.Set(request => request.Method is "HEAD" ? StoreFault.Reset : null);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = front.Url, TagsCacheTtl = "0" });

        // So often that circuit breakers would open.
        for (var i = 0; i < 8; i++)
            foreach (var path in new[] { "manifests/1", $"blobs/{blob}" })
                using (var head = await mirror.HeadAsync($"{Name}/{path}"))
                    Assert.Equal((path, HttpStatusCode.OK, false), (path, head.StatusCode, head.Headers.Contains("Warning")));
        Assert.Equal(16, front.Faults.Count);
        Assert.Equal(1, await mirror.MetricAsync("mirror_upstream_up"));
    }

    [Theory]
    [InlineData(408)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task A_HEAD_that_fails_is_sent_once_and_is_no_outage_and_a_GET_decides(int status)
    {
        AddManifest();
        var blob = AddBlob(new byte[10_000]);
        // So many at a moment that circuit breakers would open.
        string[] names = [.. Enumerable.Range(0, 8).Select(i => $"acme/app{i}")];
        foreach (var name in names)
        {
            AddManifest(name);
            _upstream.Answer("GET", $"{name}/blobs/{blob}", 200, new byte[10_000]);
            foreach (var path in new[] { "manifests/1", $"blobs/{blob}" })
                _upstream.Answer("HEAD", $"{name}/{path}", status, []);
        }

        foreach (var path in new[] { "manifests/1", $"blobs/{blob}" })
        {
            var heads = await Task.WhenAll(names.Select(name => _mirror.HeadAsync($"{name}/{path}")));
            Assert.All(heads, head => Assert.Equal((HttpStatusCode.OK, false), (head.StatusCode, head.Headers.Contains("Warning"))));
            Assert.All(names, name => Assert.Equal(1, _upstream.Count("HEAD", $"{name}/{path}")));
        }
        Assert.Equal(1, await _mirror.MetricAsync("mirror_upstream_up"));
    }

    [Fact]
    public async Task An_image_that_always_fails_does_not_keep_clients_from_another_one()
    {
        AddManifest();
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(method, "acme/broken/manifests/1", 500, []);
        // So often that circuit breakers would open.
        for (var i = 0; i < 4; i++)
            using (var broken = await _mirror.GetAsync("acme/broken/manifests/1"))
                Assert.Equal(HttpStatusCode.ServiceUnavailable, broken.StatusCode);
        await AssertAsync(HttpStatusCode.OK, "manifests/1");
    }

    // The page of a login, an answer without content, and the lengths of something else.
    public static TheoryData<int, int, string> NoProof => new()
    {
        { 200, 7, "text/html" }, { 200, 7, "application/octet-stream" }, { 200, 0, "application/octet-stream" },
        { 200, 30, "application/json" }, { 204, 0, "text/plain" }, { 202, 0, "text/plain" },
    };

    [Theory]
    [MemberData(nameof(NoProof))]
    public async Task An_answer_that_is_not_the_blob_gives_a_repository_no_right_to_a_stored_one(int status, int length, string type)
    {
        const string other = "acme/private";
        var blob = AddBlob(new byte[10_000]);
        await AssertAsync(HttpStatusCode.OK, $"blobs/{blob}");
        await _mirror.UntilStoredAsync($"{Name}/blobs/{blob}");
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(method, $"{other}/blobs/{blob}", status, new byte[length], ("Content-Type", type));

        foreach (var method in new[] { HttpMethod.Head, HttpMethod.Get })
        {
            using var refused = await _mirror.SendAsync(method, $"{other}/blobs/{blob}");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        }
        // When upstream shows the blob there, clients get it, also if only a GET shows it.
        _upstream.Answer("GET", $"{other}/blobs/{blob}", 200, new byte[10_000]);
        using var allowed = await _mirror.GetAsync($"{other}/blobs/{blob}");
        Assert.Equal(HttpStatusCode.OK, allowed.StatusCode);
    }

    [Theory]
    [MemberData(nameof(NoProof))]
    public async Task HEAD_of_a_blob_tells_its_length_also_if_the_HEAD_at_upstream_does_not(int status, int length, string type)
    {
        var blob = AddBlob(new byte[10_000]);
        var manifest = $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","layers":[{"mediaType":"a/b","digest":"{{blob}}","size":10000}]}
            """;
        _upstream.AddManifest(Name, "1", manifest, MediaTypes.OciManifest);
        await AssertAsync(HttpStatusCode.OK, "manifests/1");
        _upstream.Answer("HEAD", $"{Name}/blobs/{blob}", status, new byte[length], ("Content-Type", type));

        using var head = await _mirror.HeadAsync($"{Name}/blobs/{blob}");
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(10_000, head.Content.Headers.ContentLength);
    }

    [Theory]
    [InlineData(200, "text/html")]
    [InlineData(400, "application/json")]
    [InlineData(405, "application/json")]
    [InlineData(406, "application/json")]
    [InlineData(410, "text/plain")]
    [InlineData(501, "application/json")]
    [InlineData(200, "application/json", "{}")]
    [InlineData(200, "application/json", "")]
    public async Task The_tag_of_referrers_is_read_where_upstream_lacks_the_referrers_API(
        int status, string type, string body = "<html>")
    {
        var subject = Digest.Of("subject"u8);
        var index = $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[
            {"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of("signature"u8)}}","size":9}]}
            """;
        _upstream.AddManifest(Name, $"sha256-{subject.Hex}", index, MediaTypes.OciIndex);
        _upstream.Answer("GET", $"{Name}/referrers/{subject}", status, Encoding.UTF8.GetBytes(body), ("Content-Type", type));
        using var answer = await AssertAsync(HttpStatusCode.OK, $"referrers/{subject}");
        using var json = JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal(1, json.RootElement.GetProperty("manifests").GetArrayLength());
    }

    [Theory]
    [InlineData(402)]
    [InlineData(412)]
    [InlineData(423)]
    [InlineData(451)]
    public async Task A_refusal_of_one_image_keeps_upstreams_message(int status)
    {
        var error = """{"errors":[{"code":"PROJECTPOLICYVIOLATION","message":"current image with 3 vulnerabilities cannot be pulled"}]}""";
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(
                method, $"{Name}/manifests/1", status, Encoding.UTF8.GetBytes(error), ("Content-Type", "application/json"));
        using var answer = await AssertAsync(HttpStatusCode.Forbidden, "manifests/1");
        Assert.Contains(
            "3 vulnerabilities cannot be pulled", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        await _mirror.UntilLoggedAsync(line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains("3 vulnerabilities cannot be pulled", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_index_that_upstream_tags_with_its_own_digest_is_no_list_of_referrers()
    {
        var index = $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[
            {"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of("a child"u8)}}","size":7}]}
            """;
        var digest = Digest.Of(Encoding.UTF8.GetBytes(index));
        _upstream.AddManifest(Name, $"sha256-{digest.Hex}", index, MediaTypes.OciIndex);
        using var answer = await AssertAsync(HttpStatusCode.OK, $"referrers/{digest}");
        using var json = JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, json.RootElement.GetProperty("manifests").GetArrayLength());
    }

    [Fact]
    public async Task Documents_are_read_also_if_upstream_compresses_them()
    {
        const string json = """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}""";
        _upstream.AddManifest(Name, "1", json, MediaTypes.OciManifest);
        foreach (var (path, document, type) in new[]
        {
            ("manifests/1", json, MediaTypes.OciManifest), ("tags/list", """{"name":"acme/app","tags":["1"]}""", "application/json"),
        })
        {
            using var bytes = new MemoryStream();
            using (var gzip = new GZipStream(bytes, CompressionMode.Compress, leaveOpen: true))
                gzip.Write(Encoding.UTF8.GetBytes(document));
            _upstream.Answer("GET", $"{Name}/{path}", 200, bytes.ToArray(), ("Content-Type", type), ("Content-Encoding", "gzip"));
            if (path == "manifests/1")
                _upstream.Answer("GET", $"{Name}/manifests/{Digest.Of(Encoding.UTF8.GetBytes(json))}", 200, bytes.ToArray(),
                    ("Content-Type", type), ("Content-Encoding", "gzip"));

            using var answer = await AssertAsync(HttpStatusCode.OK, path);
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Equal(document, path == "manifests/1" ? text : text.Replace(", ", ",", StringComparison.Ordinal).Trim());
        }
    }

    [Fact]
    public async Task Each_request_says_which_program_sends_it()
    {
        AddManifest();
        await AssertAsync(HttpStatusCode.OK, "manifests/1");
        Assert.All(_upstream.Agents, agent => Assert.StartsWith("mirror/", agent));
        Assert.NotEmpty(_upstream.Agents);
    }

    [Fact]
    public async Task A_tag_whose_HEAD_names_a_digest_that_upstream_lacks_is_fetched_by_GET()
    {
        var digest = AddManifest();
        _upstream.Answer(
            "HEAD", $"{Name}/manifests/1", 200, new byte[100],
            ("Content-Type", MediaTypes.OciManifest), ("Docker-Content-Digest", Digest.Of([1]).ToString()));
        _upstream.Answer("GET", $"{Name}/manifests/{Digest.Of([1])}", 404, "{}"u8.ToArray());

        for (var i = 0; i < 2; i++)
        {
            using var manifest = await AssertAsync(HttpStatusCode.OK, "manifests/1");
            Assert.Equal(digest.ToString(), Assert.Single(manifest.Headers.GetValues("Docker-Content-Digest")));
        }
    }

    [Theory]
    [InlineData("Content-Encoding", "gzip")]
    [InlineData("Content-Encoding", "x-gzip")]
    [InlineData("Content-Encoding", "identity")]
    [InlineData("Content-Type", "text/plain")]
    [InlineData("Content-Type", "text/html; charset=utf-8")]
    public async Task A_blob_with_a_wrong_label_is_the_blob_if_it_has_the_digest(string header, string value)
    {
        var bytes = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("layer ", 2000)));
        var digest = Digest.Of(bytes);
        _upstream.Answer("GET", $"{Name}/blobs/{digest}", 200, bytes, (header, value));
        _upstream.Answer("HEAD", $"{Name}/blobs/{digest}", 200, bytes, (header, value));

        using var response = await AssertAsync(HttpStatusCode.OK, $"blobs/{digest}");
        Assert.Equal(bytes, await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    // The client has the manifest already, so that this server has not read it.
    [Theory]
    [InlineData(900, true)]
    [InlineData(60_000, true)]
    [InlineData(60_000, false)]
    public async Task A_blob_that_upstream_labels_as_a_page_is_the_blob_if_it_has_the_digest(int length, bool headFirst)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        var digest = Digest.Of(bytes);
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(method, $"{Name}/blobs/{digest}", 200, bytes, ("Content-Type", "text/html; charset=utf-8"));
        if (headFirst)
            using (var head = await _mirror.HeadAsync($"{Name}/blobs/{digest}"))
                Assert.Equal((HttpStatusCode.OK, (long?)length), (head.StatusCode, head.Content.Headers.ContentLength));
        using var response = await AssertAsync(HttpStatusCode.OK, $"blobs/{digest}");
        Assert.Equal(bytes, await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal(headFirst ? 2 : 1, _upstream.Count("GET", $"{Name}/blobs/{digest}"));
    }

    [Theory]
    [InlineData(900, "text/html")]
    [InlineData(60_000, "Text/HTML")]
    public async Task The_page_of_a_login_in_the_place_of_a_blob_is_503_and_none_of_its_bytes_go_out(int length, string type)
    {
        var digest = Digest.Of("the blob"u8);
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(method, $"{Name}/blobs/{digest}", 200, new byte[length], ("Content-Type", type));
        using var head = await _mirror.HeadAsync($"{Name}/blobs/{digest}");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, head.StatusCode);
        using var answer = await AssertAsync(HttpStatusCode.ServiceUnavailable, $"blobs/{digest}");
        Assert.Contains("web page", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

        // The login is over.
        _upstream.Answer("GET", $"{Name}/blobs/{digest}", 200, "the blob"u8.ToArray());
        await AssertAsync(HttpStatusCode.OK, $"blobs/{digest}");
    }

    [Fact]
    public async Task An_empty_body_for_a_blob_that_is_not_empty_is_an_error()
    {
        var digest = Digest.Of("something"u8);
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(method, $"{Name}/blobs/{digest}", 200, [], ("Content-Length", "0"));

        await AssertAsync(HttpStatusCode.ServiceUnavailable, $"blobs/{digest}");
    }

    // A proxy in front of upstream has changed a header.
    [Fact]
    public async Task A_blob_that_upstream_answers_with_203_is_there_for_HEAD_as_for_GET()
    {
        var bytes = "the blob"u8.ToArray();
        var digest = Digest.Of(bytes);
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(method, $"{Name}/blobs/{digest}", 203, bytes, ("Content-Type", "application/octet-stream"));

        using var head = await _mirror.HeadAsync($"{Name}/blobs/{digest}");
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        using var blob = await AssertAsync(HttpStatusCode.OK, $"blobs/{digest}");
        Assert.Equal(bytes, await blob.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("?ns=ghcr.io")]
    [InlineData("?ns=Registry.Example:5000")]
    [InlineData("?ns=index.docker.io")]
    public async Task A_mirror_of_one_registry_answers_whatever_ns_says(string query)
    {
        AddManifest();
        await AssertAsync(HttpStatusCode.OK, $"manifests/1{query}");
    }

    [Fact]
    public async Task A_manifest_that_calls_itself_what_no_header_can_hold_is_served_without_a_type()
    {
        var digest = _upstream.AddManifest(Name, "1", """{"schemaVersion":2,"mediaType":"k\u00F6ln/x","layers":[]}""", "text/plain");
        foreach (var reference in new[] { "1", digest.ToString() })
        {
            using var response = await AssertAsync(HttpStatusCode.OK, $"manifests/{reference}");
            Assert.Equal("application/octet-stream", response.Content.Headers.ContentType?.MediaType);
        }
    }

    [Fact]
    public async Task A_hosted_repository_answers_whatever_ns_says()
    {
        using var missing = await _mirror.GetAsync("local/app/tags/list?ns=ghcr.io");
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
        Assert.Equal(0, _upstream.Count("GET", "local/app/tags/list"));
        using var start = await _mirror.SendAsync(HttpMethod.Post, "local/app/blobs/uploads/?ns=ghcr.io");
        Assert.Equal(HttpStatusCode.Accepted, start.StatusCode);
    }

    [Fact]
    public async Task OPTIONS_of_a_route_names_its_methods()
    {
        using var response = await _mirror.SendAsync(HttpMethod.Options, $"{Name}/manifests/1");
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Contains("GET", response.Content.Headers.Allow);
        Assert.Contains("PUT", response.Content.Headers.Allow);
        foreach (var (path, methods) in new[]
        {
            ("_ping", "GET, HEAD, OPTIONS"), ("v1/_ping", "GET, HEAD, OPTIONS"), ("v1/search?q=x", "GET, HEAD, OPTIONS"),
            ("v1/users", "GET, POST, OPTIONS"), ("v1/images", "OPTIONS"), ("auth/token", "OPTIONS"),
        })
        {
            using var request = new HttpRequestMessage(HttpMethod.Options, new Uri(_mirror.Url, $"/{path}"));
            using var other = await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.NoContent, other.StatusCode);
            Assert.Equal((path, methods), (path, string.Join(", ", other.Content.Headers.Allow)));
        }
    }

    [Fact]
    public async Task HEAD_of_a_tag_chooses_the_platform_as_GET_does()
    {
        const string child = """{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","layers":[]}""";
        var digest = _upstream.AddManifest(Name, "child", child, MediaTypes.DockerManifest);
        _upstream.AddManifest(Name, "1", $$$"""
            {"schemaVersion":2,"mediaType":"{{{MediaTypes.DockerManifestList}}}",
            "manifests":[{"mediaType":"{{{MediaTypes.DockerManifest}}}",
            "digest":"{{{digest}}}","size":{{{child.Length}}},"platform":{"os":"linux","architecture":"amd64"}}]}
            """, MediaTypes.DockerManifestList);

        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Head })
        {
            using var response = await _mirror.SendAsync(method, $"{Name}/manifests/1", ("Accept", MediaTypes.DockerManifest));
            Assert.Equal(digest.ToString(), Assert.Single(response.Headers.GetValues("Docker-Content-Digest")));
        }
    }

    [Fact]
    public async Task Bytes_with_the_digest_that_was_asked_for_are_the_manifest_whatever_the_header_says()
    {
        var digest = AddManifest();
        AnswerWithOtherDigest(digest.ToString());
        using var head = await _mirror.HeadAsync($"{Name}/manifests/{digest}");
        Assert.Equal((HttpStatusCode.OK, digest.ToString()), (head.StatusCode, head.Headers.GetValues("Docker-Content-Digest").Single()));
        using var manifest = await AssertAsync(HttpStatusCode.OK, $"manifests/{digest}");
        Assert.Equal(digest, Digest.Of(await manifest.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)));
    }

    // RFC 3986, 3.1: schemes and hosts have no case.
    [Fact]
    public async Task Addresses_in_upper_case_are_those_in_lower_case()
    {
        AddManifest();
        var bytes = new byte[10_000];
        var (direct, redirected) = (AddBlob(bytes), Digest.Of("elsewhere"u8));
        _upstream.Answer("GET", "elsewhere", 200, "elsewhere"u8.ToArray());
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(
                method, $"{Name}/blobs/{redirected}", 307, [], ("Location", $"HTTP://LOCALHOST:{_upstream.Url.Port}/v2/elsewhere"));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = _upstream.Url,
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_REMOTEURL"] = $"HTTP://LOCALHOST:{_upstream.Url.Port}" },
        });
        foreach (var path in new[] { "manifests/1", $"blobs/{direct}", $"blobs/{redirected}" })
        {
            using var response = await mirror.GetAsync($"{Name}/{path}");
            Assert.Equal((path, HttpStatusCode.OK), (path, response.StatusCode));
        }
    }

    // Docker and containerd refuse such a tag too: nobody can tell whether the header is wrong or the bytes.
    [Fact]
    public async Task A_tag_whose_header_contradicts_its_bytes_is_refused_and_the_stored_one_stays()
    {
        var digest = AddManifest();
        await AssertAsync(HttpStatusCode.OK, "manifests/1");
        _upstream.AddManifest(
            Name, "1", """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],"annotations":{}}""",
            MediaTypes.OciManifest);
        foreach (var tag in new[] { "1", "2" })
            AnswerWithOtherDigest(tag);

        using var stale = await AssertAsync(HttpStatusCode.OK, "manifests/1");
        Assert.Equal("stale", Assert.Single(stale.Headers.GetValues("X-Cache")));
        Assert.Equal(digest, Digest.Of(await stale.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)));
        await AssertAsync(HttpStatusCode.ServiceUnavailable, "manifests/2");
    }

    private void AnswerWithOtherDigest(string reference)
    {
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(
                method, $"{Name}/manifests/{reference}", 200,
                """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"""u8.ToArray(),
                ("Content-Type", MediaTypes.OciManifest), ("Docker-Content-Digest", Digest.Of("other"u8).ToString()));
    }

    private Digest AddManifest(string name = Name) => _upstream.AddManifest(
        name, "1", """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}""", MediaTypes.OciManifest);

    private Digest AddBlob(byte[] bytes)
    {
        var digest = Digest.Of(bytes);
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(method, $"{Name}/blobs/{digest}", 200, bytes, ("Content-Type", "application/octet-stream"));
        return digest;
    }

    private async Task<HttpResponseMessage> AssertAsync(HttpStatusCode status, string path)
    {
        var response = await _mirror.GetAsync($"{Name}/{path}");
        if (response.StatusCode != status)
            Assert.Fail($"{response.StatusCode}: {await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}");
        return response;
    }
}

/// <summary>A tag that names a manifest which upstream does not have, as while a push is under way there.</summary>
public sealed class HalfPushedTagTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "0" };

    [Fact]
    public async Task A_tag_that_moved_to_a_missing_manifest_is_served_as_before()
    {
        var before = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 100));
        using (var first = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        var moved = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 100));
        // Only HEAD by tag shows the new manifest.
        Hub.Script(
            request => request.Asked is Asked.Manifest && (request.Path.EndsWith(moved.Digest.ToString(), StringComparison.Ordinal)
                || request.Method == "GET" && request.Path.EndsWith("latest", StringComparison.Ordinal)),
            Answer.NotFound);

        using var stale = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, stale.StatusCode);
        Assert.Equal("stale", Assert.Single(stale.Headers.GetValues("X-Cache")));
        Assert.Equal(before.Bytes, await stale.Content.ReadAsByteArrayAsync(Cancel));
        // Clients send HEAD, and then GET by the digest of its answer.
        using var head = await Mirror.HeadAsync(ManifestPath("latest"));
        Assert.Equal(before.Digest.ToString(), Assert.Single(head.Headers.GetValues("Docker-Content-Digest")));
        Assert.Equal("stale", Assert.Single(head.Headers.GetValues("X-Cache")));
    }

    // A registry of several servers: those that answer HEAD know the new manifest, and one of those that send it does not.
    [Theory]
    [InlineData(404)]
    [InlineData(500)]
    [InlineData(429)]
    public async Task HEAD_of_a_moved_tag_names_the_manifest_before_if_upstream_does_not_send_the_new_one(int status)
    {
        var before = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 100));
        await AssertNamedAsync(before, CacheAnswer.Miss);
        using (var first = await Mirror.GetAsync(ManifestPath(before.Digest)))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        var moved = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 100));
        var failure = Hub.Script(request => request is { Asked: Asked.Manifest, Method: "GET" }, Answer.Status(status, retryAfter: "1"));
        for (var i = 0; i < 2; i++)
        {
            await AssertNamedAsync(before, CacheAnswer.Stale);
            using var pulled = await Mirror.GetAsync(ManifestPath(before.Digest));
            Assert.Equal(before.Bytes, await pulled.Content.ReadAsByteArrayAsync(Cancel));
        }
        // After the other two, the mirror may pause its requests to upstream.
        if (status != 404)
            return;
        failure.Dispose();
        await AssertNamedAsync(moved, CacheAnswer.Miss);
        // The mirror fetched it before it named it.
        using var stored = await Mirror.GetAsync(ManifestPath(moved.Digest));
        Assert.Equal(moved.Bytes, await stored.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(stored));
    }

    private async Task AssertNamedAsync(HubImage image, string cache)
    {
        using var head = await Mirror.HeadAsync(ManifestPath("latest"));
        Assert.Equal(image.Digest.ToString(), Assert.Single(head.Headers.GetValues("Docker-Content-Digest")));
        Assert.Equal(cache, CacheAnswer.Of(head));
    }
}
