using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Mirror.Tests.Peers;
using Mirror.Tests.Web;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary>Bodies that no client of ours sends: each is the client's mistake, and none is a failure of the server.</summary>
public sealed class MalformedBodyTests : IAsyncLifetime
{
    private static readonly string[] Routes = ["purge", "pin", "unpin", "release", "warm"];

    private static readonly string[] Documents =
    [
        "", "null", "{}", "[]", "1", "\"x\"", "{", "{\"image\":null}", "{\"image\":1}", "{\"image\":[]}", "{\"image\":{}}",
        "{\"image\":\"\"}", "{\"image\":\"\\u0000\"}", "{\"image\":\"\\ud800\"}", "{\"image\":\"a:b:c@d\"}",
        "{\"images\":null}", "{\"images\":1}", "{\"images\":{}}", "{\"images\":[null]}", "{\"images\":[1]}", "{\"images\":[[]]}",
        "{\"images\":[\"a/b:1\"],\"platforms\":[null]}", "{\"images\":[\"a/b:1\"],\"platforms\":[\"\"]}",
        "{\"images\":[\"a/b:1\"],\"platforms\":1}", "{\"image\":\"a/b\",\"dryRun\":null}", "{\"image\":\"a/b\",\"dryRun\":\"x\"}",
        new string('[', 100_000), $"{{\"image\":{string.Concat(Enumerable.Repeat("{\"a\":", 200))}1{new string('}', 201)}",
    ];

    private MirrorProcess _registry = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings());
    }

    public ValueTask DisposeAsync() => _registry.DisposeAsync();

    [Fact]
    public async Task A_document_for_the_administrator_that_is_malformed_is_400()
    {
        foreach (var route in Routes)
        {
            foreach (var document in Documents)
                await RefusedAsync(route, Encoding.UTF8.GetBytes(document), "application/json");
            await RefusedAsync(route, [(byte)'{', (byte)'"', 0xff, 0xfe, (byte)'"', (byte)'}'], "application/json");
            await RefusedAsync(route, "{}"u8.ToArray(), "application/json; charset=no-such");
            await RefusedAsync(route, Encoding.Unicode.GetBytes("{}"), "application/json; charset=utf-16");
            await RefusedAsync(route, "{}"u8.ToArray(), "text/plain");
            await RefusedAsync(route, "{}"u8.ToArray(), null);
        }
        AssertNothingUnexpected();
    }

    [Fact]
    public async Task A_form_that_is_malformed_is_400()
    {
        const string fields = "application/x-www-form-urlencoded", parts = "multipart/form-data";
        using var browser = new Browser(_registry.Url);
        foreach (var page in new[] { "login", "pin", "logout", "warm" })
        {
            foreach (var (body, type) in new[]
            {
                (string.Concat(Enumerable.Range(0, 2000).Select(i => $"a{i}=1&")), fields),
                (new string('x', 5000), fields),
                ("x", parts),
                ("x", $"{parts}; boundary="),
                ("--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx", $"{parts}; boundary=b"),
                ("--b\r\nx", $"{parts}; boundary=b"),
                ("--b\r\n\r\nx\r\n--b--\r\n", $"{parts}; boundary=b"),
                ("", $"{parts}; boundary=b"),
            })
            {
                using var content = new ByteArrayContent(Encoding.Latin1.GetBytes(body));
                content.Headers.TryAddWithoutValidation("Content-Type", type);
                using var response = await browser.SendAsync(HttpMethod.Post, page, content);
                var what = $"{page}, {type}, {body[..Math.Min(80, body.Length)]}: {response.StatusCode}";
                Assert.True((int)response.StatusCode is >= 400 and < 500, what);
            }
        }
        // Odd, and no mistake of the form: the login is wrong.
        foreach (var body in new[]
        {
            "name=%00&password=%ff%fe", "name=a%0d%0a&password=%zz", "name=a:b&password=", "=&&&", "name=a&name=b",
        })
        {
            using var content = new StringContent(body, Encoding.UTF8, fields);
            content.Headers.ContentType = MediaTypeHeaderValue.Parse($"{fields}; charset=no-such");
            using var response = await browser.SendAsync(HttpMethod.Post, "login", content);
            Assert.True((int)response.StatusCode is >= 400 and < 500, $"{body}: {response.StatusCode}");
        }
        AssertNothingUnexpected();
    }

    private async Task RefusedAsync(string route, byte[] body, string? type)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_registry.Debug, $"/mirror/v1/{route}"));
        request.Headers.TryAddWithoutValidation("Authorization", _registry.AdminLogin);
        request.Content = new ByteArrayContent(body);
        if (type is not null)
            request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        using var response = await Http.Client.SendAsync(request, Cancel);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        var what = $"{route}, {type}, {Encoding.UTF8.GetString(body, 0, Math.Min(80, body.Length))}: {(int)response.StatusCode} {text}";
        // A purge of a repository that is not there removes nothing, and has no mistake.
        var isRight = route == "purge" && what.Contains("\"a/b\"", StringComparison.Ordinal) && response.IsSuccessStatusCode;
        Assert.True(isRight || (int)response.StatusCode is >= 400 and < 500, what);
        using var json = JsonDocument.Parse(text);
        Assert.True(isRight || json.RootElement.GetProperty("errors").GetArrayLength() > 0, what);
    }

    private void AssertNothingUnexpected() =>
        Assert.DoesNotContain(_registry.Log, line => line.Contains("unexpected failure", StringComparison.Ordinal));
}
