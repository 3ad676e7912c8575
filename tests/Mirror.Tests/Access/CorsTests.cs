using System.Net;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary><c>http.cors</c>: what a browser gets for a page of another host.</summary>
public sealed class CorsTests : IAsyncDisposable
{
    private const string Page = "https://ui.example.org";

    private readonly TempFolder _folder = new();
    private MirrorProcess? _registry;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_page_reads_answers_and_refusals_and_only_a_named_one()
    {
        await StartAsync("origins: [\"https://ui.example.org\", \"https://*.team.example\"], supports_credentials: true");

        // 1. The question beforehand comes without a login.
        using (var preflight = await AskAsync(HttpMethod.Options, "v2/a/app/manifests/1", Page, ("Access-Control-Request-Method", "PUT")))
        {
            Assert.Equal(HttpStatusCode.NoContent, preflight.StatusCode);
            Assert.Equal(
            [
                "Access-Control-Allow-Credentials: true", "Access-Control-Allow-Headers: Accept, Authorization, Content-Type",
                "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS, PUT", $"Access-Control-Allow-Origin: {Page}",
                "Access-Control-Max-Age: 600",
            ], Cors(preflight));
            Assert.Equal("Origin", preflight.Headers.Vary.ToString());
        }

        // 2. Answers and refusals, which keep their challenge.
        var exposed = "Access-Control-Expose-Headers: Docker-Content-Digest, Link, Location, Range, WWW-Authenticate";
        string[] allowed = ["Access-Control-Allow-Credentials: true", $"Access-Control-Allow-Origin: {Page}", exposed];
        using (var refused = await AskAsync(HttpMethod.Get, "v2/", Page))
        {
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            Assert.NotEmpty(refused.Headers.WwwAuthenticate);
            Assert.Equal(allowed, Cors(refused));
        }
        using (var answer = await AskAsync(HttpMethod.Get, "v2/", Page, ("Authorization", PasswordFile.Basic("alice"))))
            Assert.Equal((HttpStatusCode.OK, string.Join('\n', allowed)), (answer.StatusCode, string.Join('\n', Cors(answer))));
        using (var other = await AskAsync(HttpMethod.Get, "_ping", "https://b.team.example"))
            Assert.Contains("Access-Control-Allow-Origin: https://b.team.example", Cors(other));

        // 3. Other pages, and other paths than the registry's.
        foreach (var stranger in new[] { "https://evil.example", "http://ui.example.org", "https://ui.example.org.evil.example", "null",
            "https://\u00FC.team.example" })
        {
            using var answer = await AskAsync(HttpMethod.Get, "v2/", stranger, ("Authorization", PasswordFile.Basic("alice")));
            Assert.Equal((HttpStatusCode.OK, ""), (answer.StatusCode, string.Join('\n', Cors(answer))));
            Assert.Equal("Origin", answer.Headers.Vary.ToString());
        }
        foreach (var path in new[] { "", "mirror/v1/images" })
        {
            using var answer = await AskAsync(HttpMethod.Get, path, Page);
            Assert.Empty(Cors(answer));
        }
        using (var preflight = await AskAsync(HttpMethod.Options, "mirror/v1/images", Page, ("Access-Control-Request-Method", "GET")))
            Assert.Empty(Cors(preflight));
    }

    [Fact]
    public async Task Every_page_reads_without_a_login_and_headers_of_the_file_do_not_add_to_it()
    {
        await StartAsync("origins: ['*']", "headers: {Access-Control-Allow-Origin: https://other.example, X-Own: kept}");
        using var answer = await AskAsync(HttpMethod.Get, "v2/", Page);
        Assert.Equal("*", Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Equal("kept", Assert.Single(answer.Headers.GetValues("X-Own")));
        Assert.False(answer.Headers.Contains("Access-Control-Allow-Credentials"));
        Assert.Empty(answer.Headers.Vary);
        using var direct = await _registry!.GetAsync("");
        Assert.Empty(Cors(direct));
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    private async Task StartAsync(string cors, string? http = null)
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            File = $"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {_folder.Folder("root")}}}}}\n"
                + $"http:\n  cors: {{{cors}}}\n{(http is null ? "" : $"  {http}\n")}" + PasswordFile.Section(_folder),
        });
    }

    private async Task<HttpResponseMessage> AskAsync(
        HttpMethod method, string path, string origin, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(_registry!.Url, path));
        foreach (var (name, value) in headers.Prepend(("Origin", origin)))
            request.Headers.TryAddWithoutValidation(name, value);
        return await Http.Client.SendAsync(request, Cancel);
    }

    private static string[] Cors(HttpResponseMessage answer) =>
    [
        .. answer.Headers.NonValidated.Where(header => header.Key.StartsWith("Access-Control-", StringComparison.Ordinal))
            .Select(header => $"{header.Key}: {header.Value}").Order(StringComparer.Ordinal),
    ];
}
