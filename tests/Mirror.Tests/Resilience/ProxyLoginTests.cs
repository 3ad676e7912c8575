using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>An outgoing proxy with a login. It gets the login with the first request, as clients in Go send it. No host gets it.</summary>
public sealed class ProxyLoginTests : IDisposable
{
    // No resolver knows this name: what arrives came by the proxy.
    private const string Elsewhere = "registry.invalid:5000";
    private const string Manifest = """{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}""";

    private static readonly string Login = $"Proxy-Authorization: Basic {Convert.ToBase64String("ann:p@ss"u8)}";
    private static readonly byte[] Blob = [.. Enumerable.Repeat((byte)7, 5000)];

    private readonly HeadServer _proxy = new();
    private readonly HeadServer _cdn = new();

    public void Dispose()
    {
        _proxy.Dispose();
        _cdn.Dispose();
    }

    [Fact]
    public async Task A_proxy_that_answers_403_without_a_login_gets_it_with_the_first_request()
    {
        _proxy.Answer = head => !head.Contains(Login, StringComparison.Ordinal) ? Of(403, "blocked") : OfManifest();
        await using var mirror = await StartAsync("http");
        using var response = await mirror.GetAsync("library/app/manifests/1");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.All(_proxy.Heads, head => Assert.Contains(Login, head, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_host_that_is_reached_without_the_proxy_does_not_get_its_login()
    {
        var digest = Digest.Of(Blob);
        _proxy.Answer = _ => $"HTTP/1.1 307 x\r\nLocation: {_cdn.Url}data\r\nContent-Length: 0\r\n\r\n";
        _cdn.Answer = _ => Of(200, Encoding.Latin1.GetString(Blob));
        await using var mirror = await StartAsync("http", "  allow_internal: true\n");
        using var response = await mirror.GetAsync($"library/app/blobs/{digest}");
        Assert.Equal(digest, Digest.Of(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)));
        Assert.All(_proxy.Heads, head => Assert.Contains(Login, head, StringComparison.Ordinal));
        Assert.NotEmpty(_cdn.Heads);
        Assert.All(_cdn.Heads, head => Assert.DoesNotContain("Proxy-Authorization", head, StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("http", "HTTP_PROXY", 407)]
    [InlineData("https", "HTTPS_PROXY", 407)]
    [InlineData("https", "HTTPS_PROXY", 403)]
    public async Task A_proxy_that_refuses_is_named_and_gets_the_login_with_the_first_request(string scheme, string variable, int status)
    {
        _proxy.Answer = _ => $"HTTP/1.1 {status} x\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"p\"\r\n"
            + "Content-Length: 0\r\n\r\n";
        await using var mirror = await StartAsync(scheme);
        using var response = await mirror.GetAsync("library/app/manifests/1");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        var says = status == 407 ? $"{variable}) refuses the login" : $"{variable}) refuses the way to this host (403)";
        Assert.Contains(says, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await mirror.UntilLoggedAsync(line => line.Contains(says, StringComparison.Ordinal)
            && line.Contains(status == 407 ? $"user and the password of the proxy into {variable}" : "operators of the proxy",
                StringComparison.Ordinal));
        Assert.DoesNotContain(mirror.Log, line => line.Contains("p@ss", StringComparison.Ordinal));
        Assert.StartsWith(
            scheme == "https" ? $"CONNECT {Elsewhere} " : $"HEAD http://{Elsewhere}/", _proxy.Heads.First(), StringComparison.Ordinal);
        Assert.All(_proxy.Heads, head => Assert.Contains(Login, head, StringComparison.Ordinal));
    }

    private Task<MirrorProcess> StartAsync(string scheme, string more = "")
    {
        var proxy = _proxy.Url.ToString().Replace("//", "//ann:p%40ss@", StringComparison.Ordinal);
        return MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = new($"{scheme}://{Elsewhere}"),
            More = more,
            Environment = new Dictionary<string, string> { ["HTTP_PROXY"] = proxy, ["HTTPS_PROXY"] = proxy },
        });
    }

    private static string OfManifest() => Of(
        200, Manifest,
        $"Content-Type: {MediaTypes.OciManifest}\r\nDocker-Content-Digest: {Digest.Of(Encoding.UTF8.GetBytes(Manifest))}\r\n");

    private static string Of(int status, string body, string headers = "") =>
        string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} x\r\n{headers}Content-Length: {body.Length}\r\n\r\n{body}");

    /// <summary>Notes the head of each request, and answers it with a text.</summary>
    private sealed class HeadServer : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        public HeadServer()
        {
            _listener.Start();
            Url = new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture)}");
            _ = AcceptAsync();
        }

        public Uri Url { get; }

        public ConcurrentQueue<string> Heads { get; } = new();

        public Func<string, string> Answer { get; set; } = _ => Of(404, "");

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                    _ = ServeAsync(await _listener.AcceptTcpClientAsync());
            }
            catch (Exception stopped) when (stopped is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        private async Task ServeAsync(TcpClient client)
        {
            using var _ = client;
            try
            {
                var stream = client.GetStream();
                using var reader = new StreamReader(stream, Encoding.Latin1);
                while (true)
                {
                    var head = new StringBuilder();
                    while (await reader.ReadLineAsync() is { } line && line.Length > 0)
                        head.Append(line).Append('\n');
                    if (head.Length == 0)
                        return;
                    var text = head.ToString();
                    Heads.Enqueue(text);
                    var answer = Answer(text);
                    if (text.StartsWith("HEAD ", StringComparison.Ordinal))
                        answer = answer[..(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)];
                    await stream.WriteAsync(Encoding.Latin1.GetBytes(answer));
                }
            }
            catch (IOException)
            {
                // The client has gone.
            }
        }
    }
}
