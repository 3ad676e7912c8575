using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Web;

/// <summary>Debian's Chromium, without a screen.</summary>
internal sealed class Chromium : IAsyncDisposable
{
    // Pages are small, but the machine may be busy.
    private const float MaxWait = 60_000;

    private static readonly string Program = "/usr/bin/chromium";

    private readonly IPlaywright _playwright;
    private readonly IBrowser _browser;

    private Chromium(IPlaywright playwright, IBrowser browser) => (_playwright, _browser) = (playwright, browser);

    public static Availability Availability =>
        File.Exists(Program) ? default : new Availability("chromium is not installed");

    public static async Task<Chromium> StartAsync()
    {
        var playwright = await Playwright.CreateAsync();
        try
        {
            return new(playwright, await playwright.Chromium.LaunchAsync(new()
            {
                ExecutablePath = Program,
                Args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
                Timeout = MaxWait,
            }));
        }
        catch
        {
            playwright.Dispose();
            throw;
        }
    }

    /// <summary>A window of its own, without cookies.</summary>
    public async Task<IPage> OpenAsync(ColorScheme scheme, int width)
    {
        var context = await _browser.NewContextAsync(new()
        {
            ColorScheme = scheme,
            ViewportSize = new() { Width = width, Height = 800 },
        });
        context.SetDefaultTimeout(MaxWait);
        return await context.NewPageAsync();
    }

    /// <summary>Has axe look at a page (WCAG and its own rules), and expects that it finds nothing.</summary>
    public static async Task ExpectNothingFoundAsync(IPage page, string what)
    {
        var found = (await page.RunAxe()).Violations;
        var told = found.Select(rule => $"{rule.Id}: {rule.Help}: {string.Join(" | ", rule.Nodes.Select(node => node.Html))}");
        Assert.True(found.Length == 0, $"{what}:\n{string.Join('\n', told)}");
    }

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _playwright.Dispose();
    }
}
