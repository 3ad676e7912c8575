using System.Net;
using System.Runtime.Versioning;
using System.Text;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A credential helper whose passwords expire, and no <c>proxy.exec.lifetime</c>.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ExpiredHelperPasswordTests : MirrorOfHub
{
    private readonly TempFolder _folder = new();
    private string _password = "one";

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
    }

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        var helper = _folder.Write("helper", "#!/bin/sh\necho '{\"ServerURL\":\"\",\"Username\":\"AWS\",\"Secret\":\"one\"}'\n");
        File.SetUnixFileMode(helper, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new()
        {
            More = $"""
                proxy:
                  remoteurl: {hub.Url}
                  exec:
                    command: {helper}

                """,
        };
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task The_answer_and_the_log_name_the_setting(int status)
    {
        var image = Hub.AddImage(Repository, "latest");
        Hub.AsksForTokens = false;
        Hub.Script(
            request => request.Origin == "registry" && request.Authorization != Login(_password),
            Answer.By(context => EndedTokenTests.WriteAsync(
                context, context.Request.Headers.Authorization.Count == 0 ? 401 : status, "Basic realm=\"x\"")));
        using (var first = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        _password = "two";
        using var denied = await Mirror.GetAsync(BlobPath(image.Config.Digest));
        Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);
        Assert.Contains("proxy.exec.lifetime", await denied.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        if (status == 401)
            await Mirror.UntilLoggedOnceAsync(
                line => line.Contains("refuses the login", StringComparison.Ordinal)
                    && line.Contains("proxy.exec.lifetime", StringComparison.Ordinal));
        Assert.DoesNotContain(Mirror.Log, line => line.Contains("correct its username", StringComparison.Ordinal));
    }

    private static string Login(string password) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"AWS:{password}"));
}
