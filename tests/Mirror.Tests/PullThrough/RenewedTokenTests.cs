using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>How often a token is renewed that the registry refuses without a usable challenge.</summary>
public sealed class RenewedTokenTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly Account _anonymous;
    private int _tokens;

    public RenewedTokenTests() => _anonymous = new(0, _ => ValueTask.FromResult<Credential?>(null), _time);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    // Harbor: the token of a private project gives an anonymous client no right.
    [Fact]
    public async Task A_repository_that_was_made_public_can_be_read_with_a_new_token()
    {
        var isPublic = false;
        using var http = Invoker(token => isPublic && token == "2" ? HttpStatusCode.OK : HttpStatusCode.Unauthorized);
        Assert.Equal(HttpStatusCode.Unauthorized, await GetAsync(http));
        isPublic = true;
        _time.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(HttpStatusCode.OK, await GetAsync(http));
        Assert.Equal(2, _tokens);
    }

    [Fact]
    public async Task After_a_steady_403_the_pauses_between_new_tokens_grow()
    {
        var answer = HttpStatusCode.OK;
        using var http = Invoker(_ => answer);
        await GetAsync(http);
        List<int> minutes = [];
        for (var minute = 0; minute < 300; minute++, _time.Advance(TimeSpan.FromMinutes(1)))
        {
            // The token gives a right to something else.
            answer = HttpStatusCode.OK;
            await GetAsync(http);
            answer = HttpStatusCode.Forbidden;
            var before = _tokens;
            await GetAsync(http);
            if (_tokens > before)
                minutes.Add(minute);
        }
        Assert.Equal([0, 1, 3, 7, 15, 31, 63, 123, 183, 243], minutes);
    }

    private async Task<HttpStatusCode> GetAsync(HttpMessageInvoker http)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://registry.example/v2/a/manifests/1");
        request.Options.Set(UpstreamRequest.Account, _anonymous);
        request.Options.Set(UpstreamRequest.Scope, "repository:a:pull");
        var sent = http.SendAsync(request, Cancel);
        // A second token is sent a second later.
        for (; !sent.IsCompleted; await Task.Yield())
            _time.Advance(TimeSpan.FromMilliseconds(1));
        using var response = await sent;
        return response.StatusCode;
    }

    private HttpMessageInvoker Invoker(Func<string, HttpStatusCode> answer)
    {
        var options = new MirrorOptions();
        var origin = new UpstreamOrigin(new UpstreamOptions { RemoteUrl = new("https://registry.example") }, "registry.example");
        var keys = new RedisKeys(new(options.Http), new FleetIdentity(options, NullLogger<FleetIdentity>.Instance));
        var service = new HttpClient(new Peer(_ => new(HttpStatusCode.OK)
        {
            Content = new StringContent($$"""{"token":"{{++_tokens}}","expires_in":43200}"""),
        }));
        var tokens = new TokenSource(
            origin, service, new FleetCache(new(options.Http), null!, keys, null!), _time, NullLogger<TokenSource>.Instance);
        return new(new AuthorizationHandler(origin, tokens, _time)
        {
            InnerHandler = new Peer(request =>
            {
                var token = request.Headers.Authorization?.Parameter;
                var response = new HttpResponseMessage(token is null ? HttpStatusCode.Unauthorized : answer(token));
                if (response.StatusCode == HttpStatusCode.Unauthorized)
                    response.Headers.Add(
                        "WWW-Authenticate", token is null ? "Bearer realm=\"https://registry.example/token\"" : "Basic realm=\"harbor\"");
                return response;
            }),
        });
    }

    private sealed class Peer(Func<HttpRequestMessage, HttpResponseMessage> answer) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = answer(request);
            response.RequestMessage = request;
            return Task.FromResult(response);
        }
    }
}
