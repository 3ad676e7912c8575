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

    private async Task<HttpStatusCode> StatusAsync()
    {
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        return response.StatusCode;
    }
}
