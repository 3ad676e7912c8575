using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Harness;

/// <summary>The stand-in for Docker Hub does what Docker Hub does. What is built on it rests on this.</summary>
public sealed class ScriptedHubTests : IAsyncLifetime
{
    private const string Repository = "library/nginx";

    private static readonly HubBlob Layer = HubBlob.Seeded(1, 300_000);

    private ScriptedHub _hub = null!;

    public async ValueTask InitializeAsync() => _hub = await ScriptedHub.StartAsync();

    public ValueTask DisposeAsync() => _hub.DisposeAsync();

    [Fact]
    public async Task A_request_without_a_token_is_told_where_to_get_one()
    {
        _hub.AddImage(Repository, "latest", Layer);
        using var response = await SendAsync(HttpMethod.Get, "manifests/latest", token: null);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal(
            $"Bearer realm=\"{_hub.Token.Url}token\",service=\"registry.docker.io\",scope=\"repository:library/nginx:pull\"",
            response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task A_manifest_comes_with_digest_quoted_etag_length_and_rate_limit()
    {
        var image = _hub.AddImage(Repository, "latest", Layer);
        using var response = await SendAsync(HttpMethod.Get, "manifests/latest", await TokenAsync());
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(image.Digest.ToString(), response.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal($"\"{image.Digest}\"", response.Headers.ETag!.ToString());
        Assert.Equal("99;w=21600", response.Headers.GetValues("ratelimit-remaining").Single());
    }

    [Fact]
    public async Task Only_a_manifest_GET_counts_as_a_pull_and_the_limit_spares_HEAD()
    {
        _hub.AddImage(Repository, "latest", Layer);
        _hub.PullLimit = 1;
        var token = await TokenAsync();
        await SendAsync(HttpMethod.Head, "manifests/latest", token);
        await SendAsync(HttpMethod.Get, "manifests/latest", token);
        using var over = await SendAsync(HttpMethod.Get, "manifests/latest", token);
        using var head = await SendAsync(HttpMethod.Head, "manifests/latest", token);
        Assert.Equal(HttpStatusCode.TooManyRequests, over.StatusCode);
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(2, _hub.Pulls);
    }

    [Fact]
    public async Task A_blob_is_redirected_to_a_signed_address_that_refuses_credentials()
    {
        _hub.AddImage(Repository, "latest", Layer);
        var token = await TokenAsync();
        var signed = await RedirectAsync(Layer.Digest, token);
        Assert.Equal(_hub.Cdn.Authority, signed.Authority);
        Assert.Equal(Layer.Digest, Digest.Of(await Http.Client.GetByteArrayAsync(signed, Cancel)));
        Assert.Equal(Layer.Size, _hub.Log.BodyBytes(Layer.Digest));

        using var withToken = new HttpRequestMessage(HttpMethod.Get, signed) { Headers = { Authorization = new("Bearer", token) } };
        using var refused = await Http.Client.SendAsync(withToken, Cancel);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal([$"Bearer {token}"], _hub.Log.AuthorizationSeenBy("cdn"));

        _hub.ExpireSignatures();
        using var expired = await Http.Client.GetAsync(signed, Cancel);
        Assert.Equal(HttpStatusCode.Forbidden, expired.StatusCode);
    }

    [Theory]
    [InlineData("bytes=1000-1999", 1000, 2000)]
    [InlineData("bytes=299000-", 299_000, 300_000)]
    [InlineData("bytes=-10", 299_990, 300_000)]
    public async Task The_cdn_answers_ranges(string range, int from, int to)
    {
        _hub.AddImage(Repository, "latest", Layer);
        using var request = new HttpRequestMessage(HttpMethod.Get, await RedirectAsync(Layer.Digest, await TokenAsync()));
        request.Headers.Range = RangeHeaderValue.Parse(range);
        using var response = await Http.Client.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal($"bytes {from}-{to - 1}/300000", response.Content.Headers.ContentRange!.ToString());
        Assert.Equal(Layer.Slice(from, to), await response.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task A_blob_HEAD_is_answered_by_the_registry_itself()
    {
        _hub.AddImage(Repository, "latest", Layer);
        using var response = await SendAsync(HttpMethod.Head, $"blobs/{Layer.Digest}", await TokenAsync());
        Assert.Equal(Layer.Size, response.Content.Headers.ContentLength);
        Assert.Equal(0, _hub.Log.BodyBytes());
    }

    [Fact]
    public async Task A_wrong_byte_is_wrong_once_and_only_there()
    {
        _hub.AddImage(Repository, "latest", Layer);
        _hub.Fault(Layer.Digest, BlobFault.WrongByteAt(123_456));
        var token = await TokenAsync();
        var wrong = await Http.Client.GetByteArrayAsync(await RedirectAsync(Layer.Digest, token), Cancel);
        var right = await Http.Client.GetByteArrayAsync(await RedirectAsync(Layer.Digest, token), Cancel);
        Assert.Equal([123_456], Enumerable.Range(0, wrong.Length).Where(i => wrong[i] != right[i]));
        Assert.Equal(Layer.Digest, Digest.Of(right));
    }

    [Theory]
    [InlineData("closed")]
    [InlineData("reset")]
    public async Task A_cut_body_fails_the_client_after_the_bytes_before_the_cut(string how)
    {
        _hub.AddImage(Repository, "latest", Layer);
        _hub.Fault(Layer.Digest, how == "reset" ? BlobFault.ResetAt(100_000) : BlobFault.ClosedAt(100_000));
        using var response = await Http.Client.GetAsync(
            await RedirectAsync(Layer.Digest, await TokenAsync()), HttpCompletionOption.ResponseHeadersRead, Cancel);
        Assert.Equal(Layer.Size, response.Content.Headers.ContentLength);
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(100_000, _hub.Log.BodyBytes(Layer.Digest));
    }

    [Fact]
    public async Task A_short_body_ends_cleanly()
    {
        _hub.AddImage(Repository, "latest", Layer);
        _hub.Fault(Layer.Digest, BlobFault.ShortAt(100_000));
        var bytes = await Http.Client.GetByteArrayAsync(await RedirectAsync(Layer.Digest, await TokenAsync()), Cancel);
        Assert.Equal(100_000, bytes.Length);
    }

    [Fact]
    public async Task A_stalled_body_goes_on_when_the_gate_opens()
    {
        _hub.AddImage(Repository, "latest", Layer);
        var gate = new Gate();
        _hub.Fault(Layer.Digest, BlobFault.StalledAt(100_000, gate));
        using var response = await Http.Client.GetAsync(
            await RedirectAsync(Layer.Digest, await TokenAsync()), HttpCompletionOption.ResponseHeadersRead, Cancel);
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        await body.ReadExactlyAsync(new byte[100_000], Cancel);
        await gate.Reached;
        var rest = body.ReadAsync(new byte[1], Cancel);
        Assert.False(rest.IsCompleted);
        gate.Open();
        Assert.Equal(1, await rest);
    }

    [Fact]
    public async Task All_connections_share_the_speed_of_the_link()
    {
        _hub.AddImage(Repository, "latest", Layer);
        _hub.Link.BytesPerSecond = 3_000_000;
        var token = await TokenAsync();
        var started = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(
            async _ => await Http.Client.GetByteArrayAsync(await RedirectAsync(Layer.Digest, token), Cancel)));
        // A lower bound, which no busy machine can break: 1.2 MB at 3 MB/s, less what the bucket holds at first.
        Assert.True(TimeProvider.System.GetElapsedTime(started) > TimeSpan.FromSeconds(0.35));
    }

    [Fact]
    public async Task Scripted_answers_come_as_often_as_was_said_and_then_the_hubs_own()
    {
        _hub.AddImage(Repository, "latest", Layer);
        _hub.Script(Asked.Manifest, Answer.TooManyRequests("7"), times: 1);
        var token = await TokenAsync();
        using var scripted = await SendAsync(HttpMethod.Get, "manifests/latest", token);
        using var own = await SendAsync(HttpMethod.Get, "manifests/latest", token);
        Assert.Equal(HttpStatusCode.TooManyRequests, scripted.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(7), scripted.Headers.RetryAfter!.Delta);
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
    }

    [Fact]
    public async Task An_origin_taken_down_refuses_connections_and_comes_back_at_the_same_address()
    {
        using var gone = await UpAndDownAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, gone.StatusCode);

        async Task<HttpResponseMessage> UpAndDownAsync()
        {
            await _hub.Registry.TakeDownAsync();
            await Assert.ThrowsAsync<HttpRequestException>(() => Http.Client.GetAsync(new Uri(_hub.Url, "/v2/"), Cancel));
            await _hub.Registry.BringUpAsync();
            return await Http.Client.GetAsync(new Uri(_hub.Url, "/v2/"), Cancel);
        }
    }

    [Fact]
    public async Task A_private_repository_is_refused_to_strangers_and_read_by_the_account()
    {
        _hub.AddImage("acme/secret", "latest", Layer);
        _hub.Private.Add("acme/secret");
        _hub.Account = ("ann", "canary");
        using var stranger = await SendAsync(HttpMethod.Get, "manifests/latest", await TokenAsync("acme/secret"), "acme/secret");
        using var ann = await SendAsync(HttpMethod.Get, "manifests/latest", await TokenAsync("acme/secret", "ann:canary"), "acme/secret");
        Assert.Equal(HttpStatusCode.Unauthorized, stranger.StatusCode);
        Assert.Equal(HttpStatusCode.OK, ann.StatusCode);
        Assert.Equal(2, _hub.Log.TokensIssued["repository:acme/secret:pull"]);
    }

    [Fact]
    public async Task Oci_content_is_not_there_for_those_who_do_not_accept_it()
    {
        _hub.AddImage(Repository, "latest", Images.TestImage.Create(1, oci: true));
        using var response = await SendAsync(HttpMethod.Get, "manifests/latest", await TokenAsync());
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Fact]
    public async Task Tags_are_listed_in_pages()
    {
        foreach (var tag in new[] { "c", "a", "b" })
            _hub.AddImage(Repository, tag, Layer);
        using var first = await SendAsync(HttpMethod.Get, "tags/list?n=2", await TokenAsync());
        Assert.Equal("""{"name":"library/nginx","tags":["a","b"]}""", await first.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("</v2/library/nginx/tags/list?last=b&n=2>; rel=\"next\"", first.Headers.GetValues("Link").Single());
    }

    [Fact]
    public void Seeded_bytes_are_the_same_from_any_offset()
    {
        var blob = HubBlob.Seeded(42, 10_000);
        Assert.Equal(Digest.Of(blob.Slice(0, 10_000)), blob.Digest);
        Assert.Equal(blob.Slice(0, 10_000)[4321..5555], blob.Slice(4321, 5555));
        Assert.NotEqual(blob.Digest, HubBlob.Seeded(43, 10_000).Digest);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private async Task<string> TokenAsync(string repository = Repository, string? account = null)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Get, new Uri(_hub.Token.Url, $"/token?service=registry.docker.io&scope=repository:{repository}:pull"));
        if (account is not null)
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(account)));
        using var response = await Http.Client.SendAsync(request, Cancel);
        return (await response.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("token").GetString()!;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? token, string repository = Repository)
    {
        using var request = new HttpRequestMessage(method, new Uri(_hub.Url, $"/v2/{repository}/{path}"));
        if (token is not null)
            request.Headers.Authorization = new("Bearer", token);
        return await Http.Client.SendAsync(request, Cancel);
    }

    private async Task<Uri> RedirectAsync(Digest digest, string token)
    {
        using var response = await SendAsync(HttpMethod.Get, $"blobs/{digest}", token);
        Assert.Equal(HttpStatusCode.TemporaryRedirect, response.StatusCode);
        return response.Headers.Location!;
    }
}
