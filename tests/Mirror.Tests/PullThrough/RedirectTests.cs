using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Mirror.Storage;
using Mirror.Tests.Parsing;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>
/// The address that upstream redirects to is asked to the letter. Its answer is upstream's answer, except for what a CDN fails to give.
/// </summary>
public sealed class RedirectTests : MirrorOfHub
{
    private const string Other = "library/elsewhere";
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 20_000);

    [Theory]
    // {cdn} is the CDN's URL, {registry} the registry's.
    [InlineData(
        "{cdn}/data/a%2fb%2Fc/%41%7e/../x?Signature=a%2Bb%2f+c==&KEY=%c3%a9",
        "/data/a%2fb%2Fc/%41%7e/../x?Signature=a%2Bb%2f+c==&KEY=%c3%a9")]
    [InlineData("{cdn}/Data/./A//b?x=1#a%20fragment", "/Data/./A//b?x=1")]
    [InlineData("{cdn}/a b?x=c d ", "/a%20b?x=c%20d")]
    [InlineData("{cdn}?sig=%7E", "/?sig=%7E")]
    [InlineData("{cdn}", "/")]
    [InlineData("//{cdn host}/%7e/../A?b=%7e", "/%7e/../A?b=%7e")]
    [InlineData("/own/%7e/../A?b=%7e", "/own/%7e/../A?b=%7e")]
    [InlineData("?b=%7e", "/v2/{path}?b=%7e")]
    public async Task A_location_is_asked_to_the_letter(string location, string target)
    {
        Hub.AddImage(Repository, "latest", Layer);
        var path = BlobPath(Layer.Digest);
        location = location.Replace("{cdn}", Hub.Cdn.Url.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal)
            .Replace("{cdn host}", Hub.Cdn.Authority, StringComparison.Ordinal);
        var asked = new TaskCompletionSource<string>();
        Hub.Script(request => request.Asked == Asked.Blob && request.Query.Length == 0, Answer.Redirect(location));
        Hub.Script(
            request => request.Origin == "cdn" || request.Asked == Asked.Other || request.Query == "?b=%7e",
            Answer.By(async context =>
            {
                asked.TrySetResult(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
                context.Response.ContentLength = Layer.Size;
                await context.Response.Body.WriteAsync(Layer.Slice(0, Layer.Size), context.RequestAborted);
            }));

        using var response = await Mirror.GetAsync(path);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
        Assert.Equal(target.Replace("{path}", path, StringComparison.Ordinal), await asked.Task);
    }

    // Each character is one byte here.
    [Theory]
    [InlineData("/%E2%82%AC/\u00e2\u0082\u00ac", "/%E2%82%AC/%E2%82%AC")]
    [InlineData("/x?f=f\u00c3\u00bcr", "/x?f=f%C3%BCr")]
    [InlineData("/caf\u00e9", "/caf%E9")]
    public async Task Bytes_of_a_location_that_no_URL_may_have_are_escaped_each(string location, string target)
    {
        var asked = new ConcurrentQueue<string>();
        using var upstream = new AnswerServer();
        upstream.Answer = line =>
        {
            var url = line.Split(' ')[1];
            if (url.StartsWith("/v2/", StringComparison.Ordinal))
                return new([$"Location: {location}"], [], 307);
            asked.Enqueue(url);
            return new([], Layer.Slice(0, Layer.Size));
        };
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        using var response = await mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
        Assert.All(asked, url => Assert.Equal(target, url));
    }

    public static TheoryData<string> Paths =>
        [$"{Repository}/manifests/latest", $"{Repository}/manifests/{Digest.Of("cold"u8)}", $"{Repository}/tags/list"];

    // registry.k8s.io sends every request to a registry in the client's region.
    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_404_of_a_manifest_or_list_behind_a_redirect_is_404(string path)
    {
        await using var region = await ScriptedHub.StartAsync();
        region.Script(request => request.Origin == "registry", Answer.NotFound);
        RedirectTo(region.Registry.Url);
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    [Theory]
    [InlineData("application/json", """{"errors":[{"code":"BLOB_UNKNOWN"}]}""", HttpStatusCode.NotFound)]
    [InlineData("application/xml", "<Error><Code>NoSuchKey</Code></Error>", HttpStatusCode.NotFound)]
    [InlineData("text/plain", """{"errors":[{"code":"BLOB_UNKNOWN"}]}""", HttpStatusCode.NotFound)]
    [InlineData("application/problem+json", "\n{\"error\": {\"code\": 404}}", HttpStatusCode.NotFound)]
    [InlineData("text/xml", "\uFEFF<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code></Error>", HttpStatusCode.NotFound)]
    [InlineData(null, "<Error><Code>NoSuchKey</Code></Error>", HttpStatusCode.NotFound)]
    [InlineData("application/json", """{"Code":"NoSuchKey","RequestId":"tx"}""", HttpStatusCode.NotFound)]
    [InlineData("application/xml", """<s3:Error xmlns:s3="x"><s3:Code>NoSuchKey</s3:Code></s3:Error>""", HttpStatusCode.NotFound)]
    [InlineData("application/xml", "<?xml version='1.0' ?>\n<!DOCTYPE Error>\n<!-- x -->\n<Error><Code>1</Code>", HttpStatusCode.NotFound)]
    [InlineData("application/xml", "<?xml version=\"1.0\"?><html><Error>lost</Error></html>", HttpStatusCode.ServiceUnavailable)]
    [InlineData("application/json", "<html>lost</html>", HttpStatusCode.ServiceUnavailable)]
    [InlineData("application/xml", "<?xml version=\"1.0\"?><html>lost</html>", HttpStatusCode.ServiceUnavailable)]
    [InlineData("text/html", "<html>lost</html>", HttpStatusCode.ServiceUnavailable)]
    [InlineData(null, "", HttpStatusCode.ServiceUnavailable)]
    public async Task A_404_of_a_blob_behind_a_redirect_is_404_if_a_registry_or_a_store_says_it(
        string? type, string body, HttpStatusCode status)
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(Asked.BlobBytes, By(404, type, body));
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        await AssertErrorAsync(status, response);
    }

    [Fact]
    public async Task A_403_of_the_cdn_says_nothing_about_the_blob()
    {
        Hub.AddImage(Repository, "latest", Layer);
        using (Hub.Script(Asked.BlobBytes, By(403, "application/xml", "<Error><Code>AccessDenied</Code></Error>")))
        using (var away = await Mirror.GetAsync(BlobPath(Layer.Digest)))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, away);
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(Layer.Digest, await DigestOfAsync(response));
    }

    // A firewall lets the mirror reach the registry, and not the host that has the blobs.
    [Theory]
    [InlineData("localhost:1")]
    [InlineData("cdn.invalid")]
    public async Task A_host_behind_a_redirect_that_cannot_be_reached_is_named(string host)
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Script(Asked.Blob, Answer.Redirect($"http://{host}/data?Signature=x"));
        using var response = await Mirror.GetAsync(BlobPath(Layer.Digest));
        await response.Content.LoadIntoBufferAsync(Cancel);
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.Contains($"{host} cannot be reached", await response.Content.ReadAsStringAsync(Cancel));
        await UntilNamedAsync(host);
    }

    [Fact]
    public async Task A_token_service_that_cannot_be_reached_is_named()
    {
        Hub.AddImage(Repository, "latest", Layer);
        await Hub.Token.TakeDownAsync();
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        await UntilNamedAsync(Hub.Token.Authority);
    }

    private Task UntilNamedAsync(string host) => Mirror.UntilLoggedAsync(line =>
        line.Contains($"{host} cannot be reached", StringComparison.Ordinal)
        && line.Contains($"advice=\"upstream sends this mirror to {host}", StringComparison.Ordinal)
        && !line.Contains("proxy.remoteurl", StringComparison.Ordinal));

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_429_behind_a_redirect_is_a_limit(string path)
    {
        await using var region = await ScriptedHub.StartAsync();
        region.Script(request => request.Origin == "registry", Answer.TooManyRequests("7"));
        RedirectTo(region.Registry.Url);
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.TooManyRequests, response);
        Assert.Equal(7, response.Headers.RetryAfter?.Delta?.TotalSeconds);
    }

    [Fact]
    public async Task A_429_of_the_cdn_is_a_limit_and_pauses_no_account()
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.AddImage(Other, "latest", HubBlob.Seeded(2, 100));
        Hub.Script(Asked.BlobBytes, Answer.TooManyRequests("7"));
        using (var limited = await Mirror.GetAsync(BlobPath(Layer.Digest)))
            await AssertErrorAsync(HttpStatusCode.TooManyRequests, limited);
        using var response = await Mirror.GetAsync(ManifestPath("latest", Other));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_registry_behind_a_redirect_gets_a_token_and_no_login(bool hasAccount)
    {
        await using var moved = await ScriptedHub.StartAsync();
        moved.Account = Hub.Account = ("ann", "canary");
        var image = moved.AddImage(Repository, "latest", Layer);
        moved.AddImage("acme/secret", "latest");
        moved.Private.Add("acme/secret");
        RedirectTo(moved.Registry.Url);
        await using var withAccount = hasAccount
            ? await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, Username = "ann", Password = "canary" }) : null;
        var mirror = withAccount ?? Mirror;

        using (var manifest = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        using (var blob = await mirror.GetAsync(BlobPath(Layer.Digest)))
            Assert.Equal(Layer.Digest, await DigestOfAsync(blob));
        // Many registries say 404 of what only a login may read.
        using (var missing = await mirror.GetAsync(ManifestPath("missing")))
            await AssertErrorAsync(HttpStatusCode.NotFound, missing);
        moved.RevokeTokens();
        using (var tags = await mirror.GetAsync($"{Repository}/tags/list"))
            Assert.Equal(HttpStatusCode.OK, tags.StatusCode);
        using (var secret = await mirror.GetAsync(ManifestPath("latest", "acme/secret")))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, secret);

        Assert.Empty(moved.Log.AuthorizationSeenBy("token"));
        Assert.Empty(moved.Log.AuthorizationSeenBy("cdn"));
        Assert.All(moved.Log.AuthorizationSeenBy("registry"), sent => Assert.StartsWith("Bearer ", sent, StringComparison.Ordinal));
        Assert.Empty(Hub.Log.AuthorizationSeenBy("registry"));
    }

    [Fact]
    public async Task A_404_of_a_registry_behind_a_redirect_deletes_nothing_if_the_account_was_not_sent_there()
    {
        await using var moved = await ScriptedHub.StartAsync();
        moved.AsksForTokens = false;
        moved.AddImage(Repository, "latest", Layer);
        RedirectTo(moved.Registry.Url);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Username = "ann", Password = "canary", TagsCacheTtl = "0" });
        using (var manifest = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        // Only the account may read it from now on.
        var hidden = moved.Script(request => request.Origin == "registry", Answer.NotFound);
        for (var i = 0; i < 2; i++)
        {
            using var stale = await mirror.GetAsync(ManifestPath("latest"));
            Assert.Equal((HttpStatusCode.OK, CacheAnswer.Stale), (stale.StatusCode, CacheAnswer.Of(stale)));
        }
        foreach (var path in new[] { ManifestPath("missing"), BlobPath(Layer.Digest, "acme/other"), "acme/other/tags/list" })
            using (var missing = await mirror.GetAsync(path))
                await AssertErrorAsync(HttpStatusCode.NotFound, missing);
        // Nothing of it was remembered.
        moved.AddImage("acme/other", "latest");
        hidden.Dispose();
        using var tags = await mirror.GetAsync("acme/other/tags/list");
        Assert.Equal(HttpStatusCode.OK, tags.StatusCode);
    }

    [Fact]
    public async Task With_an_account_a_404_of_the_CDN_is_still_upstreams()
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Account = ("ann", "canary");
        Hub.Script(Asked.BlobBytes, Answer.NotFound);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Username = "ann", Password = "canary" });
        using var response = await mirror.GetAsync(BlobPath(Layer.Digest));
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    private void RedirectTo(Uri registry) => Hub.Script(
        request => request.Origin == "registry",
        Answer.By(context =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = new Uri(registry, context.Request.Path + context.Request.QueryString).AbsoluteUri;
            return Task.CompletedTask;
        }));

    private static Answer By(int status, string? type, string body) => Answer.By(async context =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        if (HttpMethods.IsGet(context.Request.Method))
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body), context.RequestAborted);
    });
}
