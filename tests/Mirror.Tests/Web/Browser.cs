using System.Net;
using System.Text.RegularExpressions;
using Xunit;

namespace Mirror.Tests.Web;

/// <summary>What a browser sends to the pages, without one: its cookies, and the hidden fields of forms.</summary>
internal sealed partial class Browser(Uri server, string? login = null) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, CookieContainer = new CookieContainer() });

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>GETs a page below <c>/ui/</c>, and expects this status.</summary>
    public async Task<string> PageAsync(string page, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var response = await SendAsync(HttpMethod.Get, page, null);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.True(expected == response.StatusCode, $"{page}: {(int)response.StatusCode} instead of {(int)expected}\n{text}");
        return text;
    }

    /// <summary>Sends a form with the token that a page has, and these headers.</summary>
    /// <param name="from">The page that has the token; null sends none.</param>
    public async Task<HttpStatusCode> PostAsync(
        string page, string? from, (string Name, string Value)[] fields, params (string Name, string Value)[] headers)
    {
        List<KeyValuePair<string, string>> all = [.. fields.Select(field => KeyValuePair.Create(field.Name, field.Value))];
        if (from is not null)
            all.Add(new("token", Token().Match(await PageAsync(from)).Groups[1].Value));
        using var response = await SendAsync(HttpMethod.Post, page, new FormUrlEncodedContent(all), headers);
        return response.StatusCode;
    }

    /// <summary>Logs in by the form.</summary>
    public Task<HttpStatusCode> LogInAsync(string name, string password) =>
        PostAsync("login", null, [("name", name), ("password", password)]);

    public async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string page, HttpContent? content, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(server, $"/ui/{page}")) { Content = content };
        if (login is not null)
            request.Headers.TryAddWithoutValidation("Authorization", login);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
    }

    /// <summary>The first event of the live page, as text.</summary>
    public async Task<string> FirstEventAsync()
    {
        using var response = await SendAsync(HttpMethod.Get, "live/events", null);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
        while (await reader.ReadLineAsync(Cancel) is { } line)
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return line;
        return "";
    }

    public void Dispose() => _http.Dispose();

    [GeneratedRegex("""name="token" value="([^"]+)""")]
    private static partial Regex Token();
}
