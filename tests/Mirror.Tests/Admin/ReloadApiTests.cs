using System.Net;
using Mirror.Tests.PullThrough;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary><c>reload</c>: as SIGHUP, but the caller learns what is wrong.</summary>
public sealed class ReloadApiTests : MirrorOfHub
{
    [Fact]
    public async Task The_configuration_is_read_again_and_a_wrong_one_changes_nothing()
    {
        Mirror.Change(settings => settings with { More = "  policies: [{match: library/nginx, deny: closed}]\n" });
        var (code, output) = await Mirror.VerbAsync("reload");
        Assert.Equal(0, code);
        Assert.Contains("was read again", output);
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync());
        var why = await Mirror.AdminAsync("why?image=library/nginx");
        Assert.Equal("a policy denies it to clients: closed", why.GetProperty("source").GetString());

        Mirror.Change(settings => settings with { More = "  max_stale: soon\n" });
        (code, output) = await Mirror.VerbAsync("reload");
        Assert.Equal(1, code);
        Assert.Contains("max_stale", output);
        using (var refused = await Mirror.AskAdminAsync(HttpMethod.Post, "reload"))
        {
            Assert.Contains("max_stale", await refused.Content.ReadAsStringAsync(Cancel));
            await AssertErrorAsync(HttpStatusCode.BadRequest, refused);
        }
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync());
    }

    [Theory]
    [InlineData("Sec-Fetch-Site", "cross-site", HttpStatusCode.Forbidden)]
    [InlineData("Sec-Fetch-Site", "same-site", HttpStatusCode.Forbidden)]
    [InlineData("Sec-Fetch-Site", "same-origin", HttpStatusCode.OK)]
    [InlineData("Origin", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("Origin", "null", HttpStatusCode.Forbidden)]
    public async Task A_browser_reloads_nothing_for_a_page_of_another_site(string header, string value, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Mirror.Debug, "/mirror/v1/reload"));
        // A browser adds a login that it remembers.
        request.Headers.TryAddWithoutValidation("Authorization", Mirror.AdminLogin);
        request.Headers.TryAddWithoutValidation(header, value);
        using var response = await Peers.Http.Client.SendAsync(request, Cancel);
        Assert.Equal(expected, response.StatusCode);
    }

    private async Task<HttpStatusCode> StatusAsync()
    {
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        return response.StatusCode;
    }
}
