using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary>
/// <c>proxy.private: client</c>: two clients ask for the same at the same time, and upstream withdraws the login of the first one.
/// </summary>
public sealed class LoginsAtOnceTests : IAsyncLifetime
{
    private const string Name = "private/app";

    private static readonly string Alice = PasswordFile.Basic("alice");
    private static readonly string Bob = PasswordFile.Basic("bob");
    private static readonly byte[] Manifest = Encoding.UTF8.GetBytes(
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","layers":[]}""");
    private static readonly byte[] Blob = new byte[100_000];
    private static readonly byte[] Empty = Encoding.UTF8.GetBytes(
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[]}""");

    private readonly Uri _url = new($"http://127.0.0.1:{Ports.Free()}");
    private readonly Gate _gate = new();
    private readonly TaskCompletionSource _bobAskedForTheBlob = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WebApplication _upstream = null!;
    private MirrorProcess _mirror = null!;
    private volatile bool _isWithdrawn;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _upstream = await OwnServer.StartAsync(_url, AnswerAsync);
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = _url,
            TagsCacheTtl = "0",
            Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_PRIVATE"] = "client" },
        });
        // Upstream accepts both logins, which the mirror remembers. It has no such blob.
        foreach (var login in new[] { Alice, Bob })
            using (var accepted = await _mirror.HeadAsync($"{Name}/blobs/{Digest.Of([1])}", ("Authorization", login)))
                Assert.Equal(HttpStatusCode.NotFound, accepted.StatusCode);
        _isWithdrawn = true;
    }

    public async ValueTask DisposeAsync()
    {
        _gate.Open();
        if (_mirror is not null)
            await _mirror.DisposeAsync();
        if (_upstream is not null)
            await _upstream.DisposeAsync();
    }

    [Theory]
    [InlineData("GET", "manifests/1")]
    [InlineData("HEAD", "manifests/1")]
    [InlineData("GET", "manifests/DIGEST")]
    [InlineData("HEAD", "manifests/DIGEST")]
    [InlineData("GET", "tags/list")]
    [InlineData("GET", "referrers/DIGEST")]
    public async Task The_second_client_does_not_wait_for_the_answer_to_the_first_one(string method, string path)
    {
        path = path.Replace("DIGEST", Digest.Of(Manifest).ToString(), StringComparison.Ordinal);
        var first = SendAsync(method, path, Alice);
        await _gate.Reached;
        using (var served = await SendAsync(method, path, Bob))
            Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        _gate.Open();
        using var refused = await first;
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Fact]
    public async Task The_second_client_gets_the_blob_whose_download_began_with_the_login_of_the_first_one()
    {
        var path = $"blobs/{Digest.Of(Blob)}";
        var first = SendAsync("GET", path, Alice);
        await _gate.Reached;
        var second = SendAsync("GET", path, Bob);
        await _bobAskedForTheBlob.Task.WaitAsync(TestContext.Current.CancellationToken);
        _gate.Open();
        using (var refused = await first)
            Assert.NotEqual(HttpStatusCode.OK, refused.StatusCode);
        using var served = await second;
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        Assert.Equal(Blob, await served.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    private Task<HttpResponseMessage> SendAsync(string method, string path, string login) =>
        _mirror.SendAsync(new HttpMethod(method), $"{Name}/{path}", ("Authorization", login));

    private async Task AnswerAsync(HttpContext http)
    {
        var login = http.Request.Headers.Authorization.ToString();
        var response = http.Response;
        if (login != Alice && login != Bob)
        {
            response.StatusCode = 401;
            response.Headers.WWWAuthenticate = "Basic realm=\"upstream\"";
            return;
        }
        if (login == Alice && _isWithdrawn)
        {
            await _gate.PassAsync(http.RequestAborted);
            response.StatusCode = 403;
            return;
        }
        if (http.Request.Path == "/v2/")
            return;
        var path = http.Request.Path.Value![$"/v2/{Name}/".Length..];
        if (path == $"blobs/{Digest.Of(Blob)}")
            _bobAskedForTheBlob.TrySetResult();
        (string Type, byte[] Body)? found = path switch
        {
            "manifests/1" => (MediaTypes.OciManifest, Manifest),
            "tags/list" => ("application/json", """{"tags":["1"]}"""u8.ToArray()),
            _ when path == $"manifests/{Digest.Of(Manifest)}" => (MediaTypes.OciManifest, Manifest),
            _ when path == $"referrers/{Digest.Of(Manifest)}" => (MediaTypes.OciIndex, Empty),
            _ when path == $"blobs/{Digest.Of(Blob)}" => (MediaTypes.OctetStream, Blob),
            _ => null,
        };
        if (found is not var (type, body))
        {
            response.StatusCode = 404;
            return;
        }
        response.ContentType = type;
        response.Headers.ContentLength = body.Length;
        if (path.StartsWith("manifests/", StringComparison.Ordinal))
            response.Headers["Docker-Content-Digest"] = Digest.Of(body).ToString();
        if (!HttpMethods.IsHead(http.Request.Method))
            await response.Body.WriteAsync(body, http.RequestAborted);
    }
}
