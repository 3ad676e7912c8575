using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// A server whose way out is a proxy. The proxy stands in for a registry, a bucket and an endpoint for events that only it can reach.
/// </summary>
public sealed class BehindProxyTests : IAsyncLifetime
{
    // No resolver knows this name: what arrives came by the proxy.
    private const string Elsewhere = "registry.invalid:5000";

    private readonly ConcurrentQueue<(string Method, string Host)> _requests = new();
    private readonly Uri _url = new($"http://127.0.0.1:{Ports.Free()}");
    private readonly OrdinaryUpstream _upstream = new();
    private WebApplication? _proxy;
    private bool _asksForLogin;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _upstream.AddManifest(
            "library/app", "v1", $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","layers":[]}""", MediaTypes.OciManifest);
        _proxy = await OwnServer.StartAsync(_url, AnswerAsync);
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy!.DisposeAsync();
        _upstream.Dispose();
    }

    [Theory]
    [InlineData("HTTP_PROXY", "", true)]
    [InlineData("http_proxy", "10.0.0.0/8,.svc,other.invalid", true)]
    [InlineData("http_proxy", "registry.invalid:5000", false)]
    [InlineData("http_proxy", "svc, invalid", false)]
    [InlineData("http_proxy", "*", false)]
    public async Task Upstream_is_asked_by_the_proxy_unless_NO_PROXY_excludes_it(string variable, string excluded, bool isProxied)
    {
        await using var mirror = await StartAsync($"http://{Elsewhere}", (variable, _url.ToString()), ("NO_PROXY", excluded));
        using var response = await mirror.GetAsync("library/app/manifests/v1");
        Assert.Equal(isProxied ? HttpStatusCode.OK : HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(isProxied, _requests.Any(request => request.Host == Elsewhere));
    }

    [Fact]
    public async Task This_machine_is_never_asked_by_the_proxy()
    {
        await using var mirror = await StartAsync(
            _upstream.Url.ToString(), ("HTTP_PROXY", _url.ToString()), ("HTTPS_PROXY", _url.ToString()));
        using var response = await mirror.GetAsync("library/app/manifests/v1");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var (code, output) = await mirror.RunAsync("health");
        Assert.True(code == 0, output);
        Assert.Empty(_requests);
    }

    [Fact]
    public async Task A_proxy_that_asks_for_a_login_gets_that_of_its_address()
    {
        _asksForLogin = true;
        await using var mirror = await StartAsync(
            $"http://{Elsewhere}", ("HTTP_PROXY", _url.ToString().Replace("//", "//ann:p%40ss@", StringComparison.Ordinal)));
        using var response = await mirror.GetAsync("library/app/manifests/v1");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.DoesNotContain(mirror.Log, line => line.Contains("p@ss", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Events_and_health_checks_go_by_the_proxy()
    {
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = Variables(("HTTP_PROXY", _url.ToString()), ("NO_PROXY", "10.0.0.0/8")),
            More = """
                notifications: {endpoints: [{name: far, url: 'http://events.invalid/in'}]}
                health: {http: [{uri: 'http://checked.invalid/', interval: 1s}]}

                """,
        });
        using (var started = await registry.SendAsync(HttpMethod.Post, "local/app/blobs/uploads/"))
        using (var put = new HttpRequestMessage(
            HttpMethod.Put, new Uri(registry.Url, $"{Http.LocationOf(started).PathAndQuery}?digest={Digest.Of([])}")))
        using (var pushed = await Http.Client.SendAsync(put, Cancel))
            Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        await Until.TrueAsync(
            () => _requests.Contains(("POST", "events.invalid")) && _requests.Contains(("HEAD", "checked.invalid")),
            () => $"The proxy saw only {string.Join(", ", _requests)}.");
    }

    [Fact]
    public async Task A_bucket_is_asked_by_the_proxy()
    {
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = Variables(("HTTP_PROXY", _url.ToString())),
            Driver = "  s3: {accesskey: a, secretkey: b, region: us-east-1, bucket: test, secure: false, forcepathstyle: true, "
                + "regionendpoint: 'http://store.invalid'}",
        });
        using var response = await registry.GetAsync("local/app/manifests/v1");
        await Until.TrueAsync(
            () => _requests.Any(request => request.Host == "store.invalid"), () => $"The proxy saw only {string.Join(", ", _requests)}.");
    }

    private static Dictionary<string, string> Variables(params (string Name, string Value)[] some) =>
        some.ToDictionary(variable => variable.Name, variable => variable.Value);

    private static Task<MirrorProcess> StartAsync(string upstream, params (string Name, string Value)[] environment) =>
        MirrorProcess.StartAsync(new MirrorSettings { Upstream = new(upstream), Environment = Variables(environment) });

    private async Task AnswerAsync(HttpContext context)
    {
        var request = context.Request;
        _requests.Enqueue((request.Method, request.Host.Value!));
        var login = "Basic " + Convert.ToBase64String("ann:p@ss"u8);
        if (_asksForLogin && request.Headers.ProxyAuthorization != login)
        {
            context.Response.Headers.ProxyAuthenticate = "Basic realm=\"proxy\"";
            context.Response.StatusCode = StatusCodes.Status407ProxyAuthenticationRequired;
            return;
        }
        if (request.Host.Value != Elsewhere)
            return;
        using var forwarded = new HttpRequestMessage(new(request.Method), new Uri(_upstream.Url, request.Path.Value));
        using var response = await Http.Client.SendAsync(forwarded, Cancel);
        context.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.Concat(response.Content.Headers))
            if (name != "Transfer-Encoding")
                context.Response.Headers[name] = values.ToArray();
        if (!HttpMethods.IsHead(request.Method))
            await response.Content.CopyToAsync(context.Response.Body, Cancel);
    }
}
