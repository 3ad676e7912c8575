using System.Net;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary>A registry without an upstream, shared by a class of tests. Each test uses a repository of its own.</summary>
public sealed class PlainRegistry : IAsyncLifetime
{
    private static int _names;

    public MirrorProcess Mirror { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Mirror = await MirrorProcess.StartAsync(new MirrorSettings());

    public ValueTask DisposeAsync() => Mirror.DisposeAsync();

    public PushedRepository NewRepository() => new(Mirror, $"test/repo-{Interlocked.Increment(ref _names)}");
}

/// <summary>A repository, as a client that pushes sees it.</summary>
public sealed class PushedRepository(MirrorProcess mirror, string name)
{
    internal const string OciManifest = MediaTypes.OciManifest;

    public MirrorProcess Mirror => mirror;

    public string Name => name;

    /// <summary>Sends a request to a path below the repository, or to a URL that the registry gave.</summary>
    public async Task<HttpResponseMessage> SendAsync(
        string method, string path, byte[]? body = null, string? type = null, params (string Name, string Value)[] headers)
    {
        var url = path.StartsWith("http", StringComparison.Ordinal) ? new Uri(path) : new Uri(mirror.Url, $"/v2/{name}/{path}");
        using var request = new HttpRequestMessage(new HttpMethod(method), url);
        if (body is not null || method is "POST" or "PUT" or "PATCH")
            request.Content = new ByteArrayContent(body ?? []);
        if (type is not null)
            request.Content!.Headers.TryAddWithoutValidation("Content-Type", type);
        foreach (var (header, value) in headers)
            if (!request.Headers.TryAddWithoutValidation(header, value))
                request.Content!.Headers.TryAddWithoutValidation(header, value);
        return await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async Task<byte[]> BytesAsync(string path)
    {
        using var response = await SendAsync("GET", path);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
    }

    public async Task<string> TextAsync(string path) => Encoding.UTF8.GetString(await BytesAsync(path));

    public async Task<string[]> TagsAsync(string query = "")
    {
        using var json = JsonDocument.Parse(await BytesAsync($"tags/list{query}"));
        return [.. json.RootElement.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()!)];
    }

    /// <summary>Begins an upload; returns its URL.</summary>
    public async Task<string> BeginAsync()
    {
        using var response = await SendAsync("POST", "blobs/uploads/");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        return Location(response);
    }

    /// <summary>Pushes a blob in one request.</summary>
    public async Task<Digest> PushAsync(byte[] bytes, string algorithm = "sha256")
    {
        var digest = Digest.Of(bytes, algorithm);
        using var response = await SendAsync("POST", $"blobs/uploads/?digest={digest}", bytes);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return digest;
    }

    /// <summary>Pushes an image of one tiny config and no layers.</summary>
    public async Task<(Digest Digest, byte[] Bytes)> PushManifestAsync(
        string reference, string seed = "", Digest? subject = null, string? more = null)
    {
        var bytes = Manifest(await PushAsync(Encoding.UTF8.GetBytes($"config {seed}")), subject, more);
        using var response = await SendAsync("PUT", $"manifests/{reference}", bytes, OciManifest);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return (Digest.Of(bytes), bytes);
    }

    public async Task<HttpStatusCode> StatusOfAsync(string method, string path, byte[]? body = null)
    {
        using var response = await SendAsync(method, path, body);
        return response.StatusCode;
    }

    public static byte[] Manifest(Digest config, Digest? subject = null, string? more = null)
    {
        var descriptor = $$"""{"mediaType":"application/vnd.test.config","digest":"{{config}}","size":1}""";
        var text = $$"""{"schemaVersion":2,"mediaType":"{{OciManifest}}","config":{{descriptor}},"layers":[]""";
        if (subject is not null)
            text += $$""","subject":{"mediaType":"{{OciManifest}}","digest":"{{subject}}","size":7}""";
        if (more is not null)
            text += $",{more}";
        return Encoding.UTF8.GetBytes(text + "}");
    }

    public static string Location(HttpResponseMessage response) => Http.LocationOf(response).OriginalString;

    public static string? Header(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out var values) || response.Content.Headers.TryGetValues(header, out values)
            ? string.Join(", ", values)
            : null;

    public static async Task AssertErrorAsync(HttpResponseMessage response, int status, string code)
    {
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode} instead of {status}: {body}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        using var json = JsonDocument.Parse(body);
        Assert.Equal(code, json.RootElement.GetProperty("errors")[0].GetProperty("code").GetString());
    }
}
