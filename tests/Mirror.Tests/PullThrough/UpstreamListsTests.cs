using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>
/// Lists that upstream gives in pages. Upstream's own <c>Link</c> leads from page to page, however it is written; clients get pages by
/// <c>n</c> and <c>last</c>, in lexical order (OCI distribution-spec 1.1.1, "Listing Tags" and "Listing Referrers").
/// </summary>
public sealed class UpstreamListsTests : IAsyncLifetime
{
    private const string Name = "acme/app";
    private const string TagList = $"{Name}/tags/list";
    private const int PageSize = 100;

    private static readonly string[] AllTags = [.. Enumerable.Range(0, 250).Select(i => $"t{i:D4}")];
    private static readonly Digest Subject = Digest.Of("subject"u8);

    private readonly OrdinaryUpstream _upstream = new();
    private MirrorProcess _mirror = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _upstream.Url });
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        _upstream.Dispose();
    }

    [Theory]
    // {at} is the number of the next page's first tag, {tag} the last one of this page, {host} the upstream.
    [InlineData("last={tag}", """</v2/acme/app/tags/list?last={tag}>; rel="next" """)]
    // ECR's cursor, with what base64 has.
    [InlineData("n=100&last=tok%2f{at}%2B==", """</v2/acme/app/tags/list?n=100&last=tok%2f{at}%2B==>; rel="next" """)]
    [InlineData("n=50&next_page=gAAAA{at}", """</v2/acme/app/tags/list?n=50&next_page=gAAAA{at}>; rel="next" """)]
    [InlineData("last={at}&n=100", """</v2/acme/app/tags/list?last={at}&n=100>;rel=next""")]
    [InlineData("last={tag}&n=100", """<http://{host}/v2/acme/app/tags/list?last={tag}&n=100>; title="a, b"; rel="last next" """)]
    // By the name and scheme that a registry behind a proxy knows itself by.
    [InlineData("last={tag}", """<https://registry.internal:5000/v2/acme/app/tags/list?last={tag}>; rel="next" """)]
    [InlineData("last={tag}", """<//registry.internal/v2/acme/app/tags/list?last={tag}>; rel="next" """)]
    [InlineData("last={tag}", """<?last={tag}>; rel="next" """)]
    [InlineData("last={tag}", """<list?last={tag}>""")]
    [InlineData("last={tag}", """/v2/acme/app/tags/list?last={tag}; rel="next" """)]
    [InlineData("last={tag}", "/v2/acme/app/tags/list?last={tag}")]
    [InlineData("last={tag}", "http://{host}/v2/acme/app/tags/list?last={tag};")]
    [InlineData("page={at}", """</v2/acme/app/tags/list>; rel="first", </v2/acme/app/tags/list?page={at}>; rel="next" """)]
    public async Task Every_page_is_listed_once_however_upstream_counts_them(string query, string link)
    {
        string Filled(string text, int at) => text.Trim()
            .Replace("{at}", at.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{tag}", AllTags[at - 1], StringComparison.Ordinal)
            .Replace("{host}", _upstream.Url.Authority, StringComparison.Ordinal);
        AnswerTags(asked =>
        {
            int[] starts = [PageSize, 2 * PageSize];
            var at = asked.Length == 0 ? 0 : Array.Find(starts, start => Filled(query, start) == asked);
            if (at == 0 && asked.Length > 0)
                return (400, "{}", []);
            // Registries need not sort a page.
            return (200, TagsJson(AllTags.Skip(at).Take(PageSize).Reverse()), at + PageSize < 250 ? [Filled(link, at + PageSize)] : []);
        });

        Assert.Equal([AllTags], await PagesAsync(TagList));
        Assert.Equal(3, _upstream.Count("GET", TagList));
        Assert.Equal(AllTags.Chunk(60), await PagesAsync($"{TagList}?n=60"));
        // The first page costs the whole list once more. The pages after it are cut from the same list.
        Assert.Equal(6, _upstream.Count("GET", TagList));
        Assert.Equal([AllTags[201..203], AllTags[203..205]], (await PagesAsync($"{TagList}?n=2&last=t0200")).Take(2));
    }

    [Fact]
    public async Task A_Link_without_the_path_of_remoteurl_is_followed_below_that_path()
    {
        var url = new Uri(_upstream.Url, "/artifactory/docker");
        await using var proxied = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = url });
        string[] links = ["</v2/acme/app/tags/list?last=a>; rel=next"];
        _upstream.AnswerPages(
            "/artifactory/docker/v2/acme/app/tags/list",
            asked => asked.Length == 0 ? (200, TagsJson(["a"]), links) : (200, TagsJson(["b"]), []));

        using var list = await proxied.GetAsync(TagList);
        Assert.Equal(HttpStatusCode.OK, list.StatusCode);
        Assert.Contains("""["a","b"]""", await list.Content.ReadAsStringAsync(Cancel));
    }

    [Theory]
    [InlineData(404)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(200, "an error page")]
    public async Task A_list_that_breaks_off_is_none(int status, string body = "{}")
    {
        AnswerTags(asked => asked.Length == 0 ? (200, TagsJson(AllTags[..PageSize]), ["<?page=2>; rel=next"]) : (status, body, []));
        using var nothing = await _mirror.GetAsync(TagList);
        Assert.Equal(status == 429 ? HttpStatusCode.TooManyRequests : HttpStatusCode.ServiceUnavailable, nothing.StatusCode);
    }

    [Fact]
    public async Task The_stored_tags_are_listed_where_upstreams_list_breaks_off()
    {
        _upstream.AddManifest(
            Name, "1", $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","layers":[]}""", MediaTypes.OciManifest);
        using (var pull = await _mirror.GetAsync($"{Name}/manifests/1"))
            Assert.Equal(HttpStatusCode.OK, pull.StatusCode);
        AnswerTags(asked => asked.Length == 0 ? (200, TagsJson(["0", "1"]), ["<?page=2>; rel=next"]) : (500, "{}", []));

        using var stale = await _mirror.GetAsync(TagList);
        Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(stale));
        Assert.Equal(["1"], Tags(await JsonAsync(stale)));
    }

    [Theory]
    [InlineData(403, "10m")]
    [InlineData(503, "10m")]
    [InlineData(503, "0")]
    public async Task The_last_whole_list_is_served_stale_while_upstream_gives_none(int status, string ttl)
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _upstream.Url, TagsCacheTtl = ttl });
        // One tag is stored, and it is not the list.
        _upstream.AddManifest(
            Name, "t0001", $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","layers":[]}""", MediaTypes.OciManifest);
        using (var pull = await mirror.GetAsync($"{Name}/manifests/t0001"))
            Assert.Equal(HttpStatusCode.OK, pull.StatusCode);
        AnswerTags(_ => (200, TagsJson(AllTags), []));
        using (var whole = await mirror.GetAsync($"{TagList}?n=100"))
            Assert.Equal(AllTags[..100], Tags(await JsonAsync(whole)));
        AnswerTags(_ => (status, "{}", []));

        using var stale = await mirror.GetAsync(TagList);
        Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(stale));
        Assert.Equal(AllTags, Tags(await JsonAsync(stale)));
        using var next = await mirror.GetAsync($"{TagList}?n=100&last={AllTags[99]}");
        Assert.Equal(AllTags[100..200], Tags(await JsonAsync(next)));

        // Upstream says that it has no such repository any more.
        AnswerTags(_ => (404, "{}", []));
        using var gone = await mirror.GetAsync(TagList);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Theory]
    [InlineData("<?page=2>; rel=next")]
    [InlineData("<?page=1>; rel=next")]
    [InlineData("<?>; rel=next")]
    public async Task Pages_that_lead_in_a_circle_are_the_whole_list(string last)
    {
        AnswerTags(asked => asked is "page=2"
            ? (200, TagsJson(["c", "d"]), [last])
            : (200, TagsJson(["a", "b"]), ["<?page=2>; rel=next"]));
        Assert.Equal([["a", "b", "c", "d"]], await PagesAsync(TagList));
        Assert.InRange(_upstream.Count("GET", TagList), 2, 4);
    }

    [Fact]
    public async Task Pages_without_end_are_an_error()
    {
        var page = 0;
        AnswerTags(_ => (200, TagsJson([$"t{++page}"]), [$"<?page={page}>; rel=next"]));
        using var response = await _mirror.GetAsync(TagList);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.InRange(page, 100, 1000);
    }

    [Fact]
    public async Task Pages_of_more_bytes_than_a_list_may_have_are_an_error()
    {
        var page = 0;
        var large = TagsJson(Enumerable.Range(0, 20_000).Select(i => $"{i:D100}"));
        AnswerTags(_ => (200, large, [$"<?page={++page}>; rel=next"]));
        using var response = await _mirror.GetAsync(TagList);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.InRange(page, 2, 20);
    }

    [Theory]
    [InlineData("<http://[>; rel=next")]
    [InlineData("<mailto:a@b>; rel=next")]
    // What it means cannot be known: the list would be cut here.
    [InlineData("</v2/acme/app/tags/list?last=a")]
    [InlineData("; rel=next")]
    [InlineData("next page: /v2/acme/app/tags/list?last=a")]
    public async Task A_link_that_cannot_be_followed_is_an_error(string link)
    {
        AnswerTags(_ => (200, TagsJson(["a"]), [link]));
        using var response = await _mirror.GetAsync(TagList);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
    }

    // Of the first page, of a style sheet, and of nothing.
    [Theory]
    [InlineData("/v2/acme/app/tags/list; rel=first")]
    [InlineData("</style.css>; rel=preload")]
    [InlineData("")]
    public async Task A_page_without_a_link_to_a_next_one_is_the_last(string link)
    {
        AnswerTags(asked => asked.Length == 0 ? (200, TagsJson(["a"]), [link]) : (500, "{}", []));
        Assert.Equal([["a"]], await PagesAsync(TagList));
    }

    [Theory]
    [InlineData("<http://{host}/v2/acme/app/tags/list?last=b>; rel=next")]
    [InlineData("<//{host}/v2/acme/app/tags/list?last=b>; rel=next")]
    public async Task No_link_leads_to_another_host(string link)
    {
        using var stranger = new OrdinaryUpstream();
        stranger.AnswerPages(TagList, _ => (200, TagsJson(["wrong"]), []));
        AnswerTags(asked => asked is "last=b"
            ? (200, TagsJson(["c"]), [])
            : (200, TagsJson(["a", "b"]), [link.Replace("{host}", stranger.Url.Authority, StringComparison.Ordinal)]));
        Assert.Equal([["a", "b", "c"]], await PagesAsync(TagList));
        Assert.Equal(0, stranger.Count("GET", TagList));
    }

    [Fact]
    public async Task A_list_behind_a_redirect_goes_on_where_it_is()
    {
        using var region = new OrdinaryUpstream();
        region.AnswerPages("k8s/images/app/tags/list", asked => asked is "last=b"
            ? (200, TagsJson(["c"]), [])
            : (200, TagsJson(["a", "b"]), ["</v2/k8s/images/app/tags/list?last=b>; rel=next"]));
        _upstream.Answer("GET", TagList, 307, [], ("Location", new Uri(region.Url, "/v2/k8s/images/app/tags/list").AbsoluteUri));
        Assert.Equal([["a", "b", "c"]], await PagesAsync(TagList));
    }

    [Fact]
    public async Task All_pages_of_referrers_are_listed_and_the_filter_and_ns_stay_in_our_own_pages()
    {
        var entries = Enumerable.Range(0, 8).Select(i => (Digest: Digest.Of([(byte)i]), Type: i % 2 == 0 ? "x/even" : "x/odd")).ToList();
        var filler = new string('x', 1_200_000);
        var json = entries.Select(entry => $$"""
            {"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{entry.Digest}}","size":2,"artifactType":"{{entry.Type}}",
            "annotations":{"a":"{{filler}}"} }
            """).ToList();
        _upstream.AnswerPages($"{Name}/referrers/{Subject}", asked =>
        {
            var at = asked.Length == 0 ? 0 : asked[^1] - '0';
            return (200, IndexJson(json.Skip(at).Take(3)),
                at + 3 < json.Count ? [$"</v2/{Name}/referrers/{Subject}?cursor={at + 3}>; rel=\"next\""] : []);
        });

        foreach (var (query, wanted) in new[] { ("ns=127.0.0.1", entries),
                ("ns=127.0.0.1&artifactType=x/odd", [.. entries.Where(entry => entry.Type == "x/odd")]) })
        {
            List<string> seen = [];
            var (pages, path) = (0, $"{Name}/referrers/{Subject}?{query}");
            while (path is not null)
            {
                using var response = await _mirror.GetAsync(path);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                var body = await JsonAsync(response);
                seen.AddRange(body.GetProperty("manifests").EnumerateArray().Select(entry => entry.GetProperty("digest").GetString()!));
                pages++;
                path = Next(response);
                Assert.True(path is null || path.Contains("ns=127.0.0.1", StringComparison.Ordinal), path);
            }
            Assert.Equal(wanted.Select(entry => entry.Digest.ToString()).Order(StringComparer.Ordinal), seen);
            Assert.InRange(pages, 2, seen.Count);
        }
    }

    [Fact]
    public async Task A_fallback_tag_that_names_an_image_is_no_list_of_referrers()
    {
        var path = $"{Name}/referrers/{Subject}";
        _upstream.AddManifest(
            Name, $"sha256-{Subject.Hex}", $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","layers":[]}""",
            MediaTypes.OciManifest);
        using (var response = await _mirror.GetAsync(path))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(0, (await JsonAsync(response)).GetProperty("manifests").GetArrayLength());
        }

        // The image is stored, and upstream gives no list.
        _upstream.Answer("GET", path, 503, []);
        await _mirror.StopAsync();
        await _mirror.StartAgainAsync();
        using var stale = await _mirror.GetAsync(path);
        Assert.Equal((HttpStatusCode.OK, CacheAnswer.Stale), (stale.StatusCode, CacheAnswer.Of(stale)));
        Assert.Equal(0, (await JsonAsync(stale)).GetProperty("manifests").GetArrayLength());
    }

    private void AnswerTags(Func<string, (int Status, string Json, string[] Links)> page) => _upstream.AnswerPages(TagList, page);

    private static string TagsJson(IEnumerable<string> tags) => JsonSerializer.Serialize(new { name = Name, tags });

    private static string IndexJson(IEnumerable<string> descriptors) =>
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{string.Join(',', descriptors)}}]}""";

    private async Task<List<string[]>> PagesAsync(string path)
    {
        List<string[]> pages = [];
        for (var next = path; next is not null;)
        {
            using var response = await _mirror.GetAsync(next);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            pages.Add(Tags(await JsonAsync(response)));
            next = Next(response);
        }
        return pages;
    }

    private static string[] Tags(JsonElement list) => [.. list.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()!)];

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage response) =>
        JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(Cancel)).RootElement;

    // The path below "/v2/".
    private static string? Next(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Link", out var links) ? links.Single().Split('<', '>')[1]["/v2/".Length..] : null;
}

/// <summary>What upstream said of referrers before is served, marked stale, while it cannot be asked.</summary>
public sealed class StaleReferrersTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "0" };

    [Theory]
    [InlineData(403)]
    [InlineData(503)]
    // A body that is no list.
    [InlineData(200)]
    public async Task The_last_list_is_served_stale(int status)
    {
        var subject = Digest.Of("subject"u8);
        var path = $"{Repository}/referrers/{subject}";
        var index = $$"""
            {"schemaVersion":2,"manifests":[{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of("signature"u8)}}","size":9}]}
            """;
        using (Hub.Script(r => r.Path.EndsWith(path, StringComparison.Ordinal), Index(index)))
            Assert.Equal(1, await CountAsync(path));

        Hub.Script(r => r.Origin == "registry", status == 200 ? Index("{\"manifests\":[{") : Answer.Status(status));
        using var stale = await Mirror.GetAsync(path);
        Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(stale));
        Assert.Equal(1, await CountAsync(path));
    }

    [Fact]
    public async Task The_last_list_is_served_stale_while_upstream_hangs()
    {
        var subject = Digest.Of("subject"u8);
        var path = $"{Repository}/referrers/{subject}";
        var index = $$"""
            {"schemaVersion":2,"manifests":[{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of("signature"u8)}}","size":9}]}
            """;
        using (Hub.Script(r => r.Path.EndsWith(path, StringComparison.Ordinal), Index(index)))
            Assert.Equal(1, await CountAsync(path));
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        using (var pull = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, pull.StatusCode);

        var hangs = new Gate();
        using (Hub.Script(r => r.Path.EndsWith(path, StringComparison.Ordinal), Answer.HeldBy(hangs)))
        using (var stale = await Mirror.GetAsync(path))
            Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(stale));
        hangs.Open();

        // A slow list says nothing about tags.
        using var tag = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.NotEqual(CacheAnswer.Stale, CacheAnswer.Of(tag));
    }

    private static Answer Index(string json) => Answer.By(context =>
    {
        context.Response.ContentType = MediaTypes.OciIndex;
        return context.Response.WriteAsync(json, context.RequestAborted);
    });

    private async Task<int> CountAsync(string path)
    {
        using var response = await Mirror.GetAsync(path);
        using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(Cancel));
        return json.RootElement.GetProperty("manifests").GetArrayLength();
    }
}
