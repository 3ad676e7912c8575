using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Mirror.Storage;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Web;

/// <summary>What the pages show, and that what others wrote stays text.</summary>
public sealed partial class PageContentTests : MirrorOfHub
{
    private const string Markup = "<img src=x onerror=alert(1)>\\\"'><script>alert(2)</script>";

    private static readonly HubBlob Layer = HubBlob.Seeded(1, 30_000);

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("someone", "pa55-of-upstream");
        return new() { Upstream = hub.Url, Username = "someone", Password = "pa55-of-upstream" };
    }

    [Fact]
    public async Task The_link_to_the_next_page_names_no_image_because_the_viewer_may_not_be_allowed_to_see_it()
    {
        var repository = new PushedRepository(Mirror, "local/secret");
        var config = await repository.PushAsync("{}"u8.ToArray());
        for (var i = 0; i < 51; i++)
            using (var response = await repository.SendAsync(
                "PUT", $"manifests/tag-{i:D2}", PushedRepository.Manifest(config, null), PushedRepository.OciManifest))
                Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        await Mirror.ImagesAsync(list => list.Length == 51, "?n=100");

        using var admin = new Browser(Mirror.Debug, Mirror.AdminLogin);
        foreach (var sort in new[] { "name", "size", "pulls", "state" })
        {
            var first = await admin.PageAsync($"images?sort={sort}");
            var link = WebUtility.HtmlDecode(NextPage().Match(first).Groups["link"].Value);
            var after = Uri.UnescapeDataString(link[(link.IndexOf("after=", StringComparison.Ordinal) + "after=".Length)..]);
            Assert.DoesNotContain("secret", link, StringComparison.Ordinal);
            Assert.Matches("^[A-Za-z0-9_-]{40,}$", after);
            // The last image, and none twice.
            var second = await admin.PageAsync($"images?sort={sort}&after={after}");
            string[] all = [.. TagInList().Matches(first + second).Select(match => match.Value).Distinct()];
            Assert.Equal((sort, 51), (sort, all.Length));
            foreach (var forged in new[] { "local/secret:tag-03", "5.7", after[..^2] })
                await admin.PageAsync($"images?sort={sort}&after={Uri.EscapeDataString(forged)}", HttpStatusCode.BadRequest);
        }
    }

    [GeneratedRegex("""<a rel="next" href="(?<link>[^"]+)""")]
    private static partial Regex NextPage();

    [GeneratedRegex(">local/secret:tag-[0-9]{2}<")]
    private static partial Regex TagInList();

    [Fact]
    public async Task Text_of_clients_publishers_and_upstreams_is_never_markup()
    {
        var repository = new PushedRepository(Mirror, "local/markup");
        const string json = """
            {"os":"M","architecture":"M","config":{"Labels":{"M":"M"}},"history":[{"created":"M","created_by":"M"}]}
            """;
        var config = await repository.PushAsync(Encoding.UTF8.GetBytes(json.Replace("M", Markup, StringComparison.Ordinal)));
        var manifest = PushedRepository.Manifest(config, null, $$"""
            "artifactType":"{{Markup}}","annotations":{"{{Markup}}":"{{Markup}}"}
            """.Trim());
        using (var response = await repository.SendAsync("PUT", "manifests/1", manifest, PushedRepository.OciManifest))
            Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        await repository.PushManifestAsync(
            "sig", "2", Digest.Of(manifest), $$"""
            "artifactType":"{{Markup}}"
            """.Trim());
        // A client is noted with its first request on a connection.
        using (var client = new HttpClient())
        using (var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Mirror.Url, "/v2/local/markup/manifests/1")))
        {
            request.Headers.TryAddWithoutValidation("User-Agent", "<script>alert(3)</script>");
            using var response = await client.SendAsync(request, Cancel);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        await Mirror.ImagesAsync(list => list.Length == 2);

        using var admin = new Browser(Mirror.Debug, Mirror.AdminLogin);
        var asked = Uri.EscapeDataString("<script>alert(4)</script>");
        List<string> pages = [];
        foreach (var page in new[]
        {
            "", "live", $"images?search={asked}", $"images?sort={asked}", "images", "image?image=local/markup:1", $"why?image={asked}",
            "why?image=local/markup:1", "upstreams", "clients", "settings", $"login?to={asked}",
        })
            pages.Add(await admin.PageAsync(page));
        pages.Add(await admin.PageAsync($"image?image={asked}", HttpStatusCode.BadRequest));
        foreach (var text in pages)
        {
            Assert.DoesNotContain("<img", text);
            Assert.DoesNotMatch(InlineScript(), text);
            Assert.DoesNotContain(" style=", text);
            Assert.DoesNotMatch(Handler(), text);
        }
        // It is shown, as text.
        Assert.InRange(Count(pages[5], "&lt;script&gt;alert(2)"), 6, 20);
        Assert.Contains("&lt;script&gt;alert(3)", pages[9]);
    }

    [Fact]
    public async Task Only_an_administrator_sees_which_clients_wait_for_a_download()
    {
        var slow = HubBlob.Seeded(7, 1 << 20);
        Hub.AddImage(Repository, "slow", slow);
        var half = new Gate();
        Hub.Fault(slow.Digest, BlobFault.StalledAt(1 << 19, half));
        using var waiting = await Mirror.GetAsync(BlobPath(slow.Digest));
        using var admin = new Browser(Mirror.Debug, Mirror.AdminLogin);
        using var other = new Browser(Mirror.Url);

        Assert.Contains(">1: 127.0.0.1</td>", await admin.PageAsync("live"));
        Assert.Contains(" class=\"n\">1</td>", await other.PageAsync("live"));

        half.Open();
        Assert.Equal(slow.Digest, await DigestOfAsync(waiting));
        await Until.TrueAsync(
            async () => !(await admin.PageAsync("live")).Contains(">1: 127.0.0.1</td>", StringComparison.Ordinal),
            () => string.Join('\n', Mirror.Log));
    }

    [Fact]
    public async Task Every_answer_forbids_what_the_pages_do_not_need()
    {
        using var browser = new Browser(Mirror.Url);
        foreach (var page in new[] { "", "images", "nothing", "assets/live.js", "settings" })
            using (var response = await browser.SendAsync(HttpMethod.Get, page, null))
            {
                var policy = response.Headers.GetValues("Content-Security-Policy").Single();
                Assert.Contains("default-src 'none'", policy);
                Assert.DoesNotContain("unsafe", policy);
                Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
            }
    }

    [Fact]
    public async Task The_first_page_and_all_that_it_needs_is_small()
    {
        using var browser = new Browser(Mirror.Url);
        var page = await browser.PageAsync("");
        var bytes = Encoding.UTF8.GetByteCount(page);
        foreach (var asset in Asset().Matches(page + await browser.PageAsync("live")).Select(match => match.Groups[1].Value).Distinct())
            bytes += (await browser.PageAsync(asset)).Length;
        Assert.InRange(bytes, 1_000, 200 << 10);
    }

    [Fact]
    public async Task An_image_without_a_tag_has_a_page_that_can_purge_it()
    {
        var image = Hub.AddImage(Repository, "1", Layer);
        await Mirror.PullAsync(Repository, image.Digest.ToString(), [image.Config.Digest, Layer.Digest]);
        await Mirror.ImagesAsync(list => list is [var only] && only.GetProperty("whole").GetBoolean());

        using var admin = new Browser(Mirror.Debug, Mirror.AdminLogin);
        var (name, page) = ($"{Repository}@{image.Digest}", $"image?image={Repository}%40{image.Digest}");
        foreach (var sort in new[] { "name", "state" })
            Assert.Contains($">{name}</a>", await admin.PageAsync($"images?sort={sort}"));
        var text = await admin.PageAsync(page);
        Assert.Contains(Layer.Digest.ToString(), text);
        Assert.DoesNotContain("Pin</button>", text);
        Assert.Contains(image.Digest.ToString(), await admin.PageAsync(page.Replace("image?", "purge?", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.BadRequest, await admin.PostAsync("pin", page, [("image", name)]));
        Assert.Equal(HttpStatusCode.SeeOther, await admin.PostAsync("purge", page, [("image", name)]));
        await admin.PageAsync(page, HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task An_image_is_shown_with_its_layers_and_what_happened_to_it()
    {
        var image = Hub.AddImage(Repository, "1", Layer);
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, Layer.Digest]);
        await Mirror.PullAsync(Repository, image.Digest.ToString());
        await Mirror.ImagesAsync(list => list.Length == 1 && list[0].GetProperty("pulls").GetInt64() == 2);

        using var browser = new Browser(Mirror.Url);
        foreach (var sort in new[] { "name", "platforms", "size", "shared", "pulls", "used", "state" })
            Assert.Contains("library/nginx:1", await browser.PageAsync($"images?sort={sort}&search=ngin"));
        Assert.DoesNotContain("library/nginx:1", await browser.PageAsync("images?search=ngin_"));
        var page = await browser.PageAsync("image?image=library/nginx:1");
        Assert.Contains(Layer.Digest.ToString(), page);
        Assert.Contains("a copy from upstream", page);
        Assert.DoesNotContain(">Pin<", page);
        Assert.Contains("What the tag named", page);
        Assert.Contains("Pulled by this digest 1 time,", page);
        Assert.DoesNotContain("Who pulled it", page);
        Assert.Contains("aria-sort=\"descending\"", await browser.PageAsync("images?sort=size"));
        using (var admin = new Browser(Mirror.Debug, Mirror.AdminLogin))
        {
            Assert.Contains("How fast the images grow is known after an hour", await admin.PageAsync(""));
            var upstreams = await admin.PageAsync("upstreams");
            Assert.Contains("<dt>200</dt>", upstreams);
            Assert.Contains("half of the last requests in ", upstreams);
            Assert.Contains("<td class=\"name\">127.0.0.1</td>", await admin.PageAsync("image?image=library/nginx:1"));
        }
        var why = await browser.PageAsync("why?image=library/nginx:1");
        Assert.Contains("fetched from upstream", why);
        Assert.Contains("<dt>Next request</dt><dd>it is answered from the store: the tag is fresh for ", why);
        Assert.DoesNotContain("<dt>Pulls since the start</dt><dd>0</dd>", await browser.PageAsync(""));
    }

    [Fact]
    public async Task Images_are_sorted_by_each_column()
    {
        var large = HubBlob.Seeded(2, 60_000);
        var (nginx, redis) = (Hub.AddImage(Repository, "1", Layer), Hub.AddImage("library/redis", "2", Layer, large));
        await Mirror.PullAsync("library/redis", "2", [redis.Config.Digest, Layer.Digest, large.Digest]);
        await Mirror.PullAsync(Repository, "1", [nginx.Config.Digest, Layer.Digest]);
        await Mirror.PullAsync(Repository, "1");
        await new PushedRepository(Mirror, "local/app").PushManifestAsync("3");
        await Mirror.ImagesAsync(list => list.Length == 3 && list.Count(image => image.GetProperty("shared").GetInt64() > 0) == 2
            && list.Sum(image => image.GetProperty("pulls").GetInt64()) == 3);
        using var admin = new Browser(Mirror.Debug, Mirror.AdminLogin);
        Assert.Equal(HttpStatusCode.SeeOther, await admin.PostAsync("pin", null, [("image", "library/redis:2")]));

        const string n = "library/nginx:1", r = "library/redis:2", a = "local/app:3";
        foreach (var (sort, expected) in new[]
        {
            ("name", [n, r, a]), ("size", [r, n, a]), ("pulls", [n, r, a]), ("used", [n, r, a]), ("state", new[] { r, a, n }),
        })
            Assert.Equal(expected, await ListAsync($"images?sort={sort}"));
        Assert.Equal(a, (await ListAsync("images?sort=shared"))[2]);
        Assert.Equal([n, r], (await ListAsync("images?sort=shared")).Take(2).Order());
        Assert.Equal([n, r], (await ListAsync("images?sort=platforms&search=library")).Order());
        Assert.Equal(a, (await ListAsync("images?sort=platforms"))[0]);

        async Task<string[]> ListAsync(string page) =>
            [.. ImageLink().Matches(await admin.PageAsync(page)).Select(match => Uri.UnescapeDataString(match.Groups[1].Value))];
    }

    [Fact]
    public async Task The_settings_are_shown_with_their_source_and_without_secrets()
    {
        using var admin = new Browser(Mirror.Debug, Mirror.AdminLogin);
        var page = await admin.PageAsync("settings");
        Assert.DoesNotContain("pa55-of-upstream", page);
        Assert.Matches(@"proxy\.password</code></td><td class=""name"">\*\*\*</td><td>file", page);
        Assert.Matches(@"http\.prefix</code></td><td class=""name"">/</td><td>default", page);
    }

    [Fact]
    public async Task Clients_of_the_last_day_are_known_by_address_program_and_name()
    {
        Hub.AddImage(Repository, "1", Layer);
        var (before, none) = await Mirror.VerbAsync("clients", "--check");
        Assert.Equal(1, before);
        Assert.Contains("missing: no client asked for images of", none);

        using (var response = await Mirror.GetAsync(ManifestPath("1"), ("User-Agent", "containerd/v9.9")))
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var (after, output) = await Mirror.VerbAsync("clients", "--check", "--expect", "127.0.0.0/8");
        Assert.True(after == 0, output);
        Assert.Matches(@"127\.0\.0\.1 .* root .*containerd/v9\.9", output);
        var (code, missing) = await Mirror.VerbAsync("clients", "--check", "--expect", "10.9.0.0/16");
        Assert.Equal(1, code);
        Assert.Contains("no client came from 10.9.0.0/16", missing);

        using var admin = new Browser(Mirror.Debug, Mirror.AdminLogin);
        Assert.Contains("containerd/v9.9", await admin.PageAsync("clients"));
    }

    private static int Count(string text, string part) => text.Split(part).Length - 1;

    [GeneratedRegex("href=\"/ui/image\\?image=([^\"]+)\"")]
    private static partial Regex ImageLink();

    // A script without an address.
    [GeneratedRegex("<script(?! src=\"/ui/assets/)", RegexOptions.IgnoreCase)]
    private static partial Regex InlineScript();

    // An attribute of an element that is code.
    [GeneratedRegex("<[^>\"]*(?:\"[^\"]*\"[^>\"]*)*\\son[a-z]+\\s*=", RegexOptions.IgnoreCase)]
    private static partial Regex Handler();

    [GeneratedRegex("\"/ui/(assets/[^\"]+)\"")]
    private static partial Regex Asset();
}
