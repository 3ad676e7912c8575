using System.Globalization;
using System.Net;
using Microsoft.Playwright;
using Mirror.Storage;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Web;

/// <summary>The pages in a real browser: axe finds nothing, forms work by clicking, and the live page follows a real pull.</summary>
/// <remarks>With <c>MIRROR_SCREENSHOTS</c> set to a folder, it keeps a picture of each page there.</remarks>
public sealed class BrowserTests : MirrorOfHub
{
    private static readonly string? Pictures = Environment.GetEnvironmentVariable("MIRROR_SCREENSHOTS");

    private static readonly string[] Pages =
    [
        "", "live", "images", "image?image=library/nginx:1", "purge?image=library/nginx:1", "why?image=library/nginx:1", "upstreams",
        "clients", "settings", "login", "delete?image=local/app:1", "nothing", "images?search=nothing-of-this-name",
    ];

    // Where nothing has happened yet.
    private static readonly string[] Empty = ["images", "", "live", "upstreams", "clients", "settings", "why?image=library/none:1"];

    private static readonly HubBlob Layer = HubBlob.Seeded(1, 300_000);

    private static readonly HubBlob Other = HubBlob.Seeded(3, 100_000);

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        Chromium.Availability.OrSkip();
        return new() { Upstream = hub.Url, TagsCacheTtl = "10m" };
    }

    [Fact]
    public async Task Axe_finds_nothing_on_any_page_in_the_dark_or_the_light_or_on_a_phone()
    {
        await using var chromium = await Chromium.StartAsync();
        // axe takes a second of the processor for each page.
        (ColorScheme Scheme, int Width, string[] Empty, string[] Full)[] looks = Figures.Full
            ?
            [
                (ColorScheme.Light, 1280, Empty, Pages), (ColorScheme.Light, 390, Empty, Pages),
                (ColorScheme.Dark, 1280, Empty, Pages), (ColorScheme.Dark, 390, Empty, Pages),
            ]
            : [(ColorScheme.Light, 1280, [], Pages), (ColorScheme.Dark, 390, [], Pages[..4])];
        List<(IPage Page, List<string> Problems)> open = [];
        foreach (var look in looks)
        {
            var page = await chromium.OpenAsync(look.Scheme, look.Width);
            List<string> problems = [];
            page.Console += (_, message) =>
            {
                if (message.Type is "error" or "warning")
                    problems.Add(message.Text);
            };
            await LogInAsync(page);
            open.Add((page, problems));
            foreach (var path in look.Empty)
                await LookAsync(page, path, look.Scheme, look.Width, "empty");
        }
        await FillAsync();
        await new PushedRepository(Mirror, "local/app").PushManifestAsync("1");
        foreach (var (look, (page, problems)) in looks.Zip(open))
        {
            problems.Clear();
            foreach (var path in look.Full)
                await LookAsync(page, path, look.Scheme, look.Width, NameOf(path));
            // Neither a script nor a style was refused by the policy. A page that is not there is an error for the browser.
            Assert.DoesNotContain(problems, problem => !problem.Contains("404", StringComparison.Ordinal));
        }

        static string NameOf(string path) =>
            path == "" ? "overview" : path.Contains("search=", StringComparison.Ordinal) ? "search" : path.Split('?')[0];

        async Task LookAsync(IPage page, string path, ColorScheme scheme, int width, string name)
        {
            await page.GotoAsync(Address(path));
            await Chromium.ExpectNothingFoundAsync(page, $"/ui/{path}, {scheme}, {width}");
            // Nothing is wider than the screen: what is wide has a bar of its own.
            Assert.True(
                await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
                $"/ui/{path} is wider than {width}");
            await PictureAsync(page, $"{name}-{scheme}-{width}".ToLowerInvariant());
        }
    }

    [Fact]
    public async Task An_image_is_pinned_unpinned_purged_and_warmed_by_clicking()
    {
        await FillAsync();
        await using var chromium = await Chromium.StartAsync();
        var page = await chromium.OpenAsync(ColorScheme.Light, 1280);
        await LogInAsync(page);

        await page.GotoAsync(Address("images"));
        await page.GetByRole(AriaRole.Link, new() { Name = "library/nginx:1", Exact = true }).ClickAsync();
        await Button(page, "Pin").ClickAsync();
        await Button(page, "Unpin").WaitForAsync();
        Assert.True((await Mirror.ImagesAsync(list => list.Length == 2))[0].GetProperty("pinned").GetBoolean());
        // A pin forbids it, and the page says so.
        await Button(page, "Purge…").ClickAsync();
        await page.GetByText("is pinned: take the pin away first").WaitForAsync();
        await page.GoBackAsync();
        await Button(page, "Unpin").ClickAsync();
        await Button(page, "Pin").WaitForAsync();

        await Button(page, "Purge…").ClickAsync();
        await page.GetByText("This would remove 1 tag,").WaitForAsync();
        Assert.True(IsStored(Layer.Digest));
        await Button(page, "Purge").ClickAsync();
        await page.GetByText("There is no such image").WaitForAsync();
        await Until.TrueAsync(() => !IsStored(Layer.Digest), () => "The layer is still stored.");

        // Of this one, no client has asked for the layer.
        Assert.False(IsStored(Other.Digest));
        await page.GotoAsync(Address("image?image=library/other:1"));
        await Button(page, "Warm").ClickAsync();
        await page.GetByText("library/other:1: ").WaitForAsync();
        await Until.TrueAsync(() => IsStored(Other.Digest), () => string.Join('\n', Mirror.Log));
    }

    [Fact]
    public async Task The_live_page_follows_a_pull_to_its_end()
    {
        var large = HubBlob.Seeded(2, 8 << 20);
        Hub.AddImage(Repository, "slow", large);
        var half = new Gate();
        Hub.Fault(large.Digest, BlobFault.StalledAt(4 << 20, half));
        await using var chromium = await Chromium.StartAsync();
        var page = await chromium.OpenAsync(ColorScheme.Light, 1280);
        await page.GotoAsync(Address("live"));
        await page.GetByText("The figures follow each second.").WaitForAsync();
        await page.GetByText("Nothing is being downloaded.").WaitForAsync();

        Hub.Link.BytesPerSecond = 2 << 20;
        var pull = DownloadAsync(large.Digest);
        var bar = page.Locator("progress");
        await bar.WaitForAsync();
        List<double> seen = [];
        await Until.TrueAsync(
            async () =>
            {
                seen.Add(await ValueAsync(bar));
                return seen[^1] > 0 && half.Reached.IsCompleted;
            },
            () => string.Join(' ', seen));
        Assert.Equal(large.Size, await bar.EvaluateAsync<double>("bar => bar.max"));
        Assert.Equal(1, await page.Locator("tbody[data-list=fills] tr").CountAsync());
        // It stands where the spool stands.
        await Until.TrueAsync(
            async () => Math.Abs(await ValueAsync(bar) - (4 << 20)) <= (4 << 20) * 0.05, () => string.Join(' ', seen));
        await PictureAsync(page, "live-pull");

        half.Open();
        Assert.Equal(large.Digest, await pull);
        await page.GetByText("Nothing is being downloaded.").WaitForAsync();
        Assert.Equal(0, await bar.CountAsync());
        Assert.Equal(seen.Order(), seen);
    }

    private string Address(string page) => new Uri(Mirror.Debug, $"/ui/{page}").ToString();

    private static ILocator Button(IPage page, string name) => page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    private async Task LogInAsync(IPage page)
    {
        await page.GotoAsync(Address("login"));
        await page.GetByLabel("Token of the administrator").FillAsync((await File.ReadAllTextAsync(Mirror.TokenFile, Cancel)).Trim());
        await Button(page, "Log in").ClickAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "Activity and settings" }).WaitForAsync();
    }

    private async Task FillAsync()
    {
        var image = Hub.AddImage(Repository, "1", Layer);
        var other = Hub.AddImage("library/other", "1", Other);
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, Layer.Digest]);
        await Mirror.PullAsync("library/other", "1", [other.Config.Digest]);
        await Mirror.ImagesAsync(list => list.Length == 2);
    }

    private async Task<Digest> DownloadAsync(Digest digest)
    {
        using var response = await Mirror.GetAsync(BlobPath(digest));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await DigestOfAsync(response);
    }

    private static async Task<double> ValueAsync(ILocator bar) =>
        double.Parse(await bar.EvaluateAsync<string>("bar => String(bar.value)"), CultureInfo.InvariantCulture);

    private static async Task PictureAsync(IPage page, string name)
    {
        if (Pictures is not null)
            await page.ScreenshotAsync(new() { Path = Path.Combine(Pictures, $"{name}.png") });
    }
}
