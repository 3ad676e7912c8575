using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Swift;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.OpenStack;

/// <summary>
/// The log-ins of Keystone, by a stand-in that answers with a token of Swift's own log-in. It shows which requests are sent; a real
/// Keystone has not answered them.
/// </summary>
public sealed class KeystoneTests : IAsyncLifetime
{
    private readonly SwiftStore _store = new();
    private readonly Uri _url = new($"http://127.0.0.1:{Ports.Free().ToString(CultureInfo.InvariantCulture)}/");
    private readonly ConcurrentQueue<(string Path, JsonNode Body)> _requests = new();
    private WebApplication? _keystone;
    private Swift? _swift;
    private bool _givesStaleTokens;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _swift = await SharedSwift.OrSkipAsync();
        _keystone = await OwnServer.StartAsync(_url, AnswerAsync);
    }

    public async ValueTask DisposeAsync()
    {
        if (_keystone is not null)
            await _keystone.DisposeAsync();
        _store.Dispose();
    }

    [Fact]
    public async Task Version_2_sends_the_password_and_the_project_and_takes_the_address_of_the_region()
    {
        using var bucket = await OpenAsync(options => (options.AuthUrl, options.Tenant, options.Region) = ($"{_url}v2.0", "images", "two"));
        await bucket.CheckAsync(Cancel);
        var (path, body) = Assert.Single(_requests);
        Assert.Equal("/v2.0/tokens", path);
        Assert.Equal(
            """{"auth":{"passwordCredentials":{"username":"mirror:user","password":"swordfish"},"tenantName":"images"}}""",
            body.ToJsonString());
    }

    [Fact]
    public async Task Version_3_sends_domains_and_project()
    {
        using var bucket = await OpenAsync(options =>
            (options.AuthUrl, options.Tenant, options.Domain, options.TenantDomainId) = ($"{_url}v3/", "images", "staff", "d1"));
        await bucket.CheckAsync(Cancel);
        var (path, body) = Assert.Single(_requests);
        Assert.Equal("/v3/auth/tokens", path);
        Assert.Equal(
            """{"methods":["password"],"password":{"user":{"name":"mirror:user","domain":{"name":"staff"},"password":"swordfish"}}}""",
            body["auth"]!["identity"]!.ToJsonString());
        Assert.Equal("""{"project":{"name":"images","domain":{"id":"d1"}}}""", body["auth"]!["scope"]!.ToJsonString());
    }

    [Fact]
    public async Task A_trust_replaces_the_project()
    {
        using var bucket = await OpenAsync(options => (options.AuthUrl, options.Tenant, options.TrustId) = ($"{_url}v3", "images", "t1"));
        await bucket.CheckAsync(Cancel);
        Assert.Equal("""{"OS-TRUST:trust":{"id":"t1"}}""", _requests.Single().Body["auth"]!["scope"]!.ToJsonString());
    }

    [Fact]
    public async Task A_token_that_is_not_accepted_is_renewed_once()
    {
        _givesStaleTokens = true;
        using var bucket = await OpenAsync(options => options.AuthUrl = $"{_url}v3");
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.CheckAsync(Cancel));
        Assert.Contains("the token is not accepted", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2, _requests.Count);
        _givesStaleTokens = false;
        await bucket.CheckAsync(Cancel);
        Assert.Equal(3, _requests.Count);
    }

    private async Task<SwiftBucket> OpenAsync(Action<SwiftOptions> change)
    {
        var options = await _store.OptionsAsync();
        change(options);
        return new(options, TimeProvider.System);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        _requests.Enqueue((context.Request.Path, (await JsonNode.ParseAsync(context.Request.Body))!));
        var (account, token) = await _swift!.LogInAsync();
        if (_givesStaleTokens)
            token = "stale";
        const string wrong = "http://127.0.0.1:1/";
        JsonObject answer;
        if (context.Request.Path.StartsWithSegments("/v3"))
        {
            context.Response.Headers["X-Subject-Token"] = token;
            context.Response.StatusCode = 201;
            answer = new()
            {
                ["token"] = new JsonObject
                {
                    ["catalog"] = new JsonArray(
                        new JsonObject { ["type"] = "identity", ["endpoints"] = new JsonArray(Endpoint("public", "two", wrong)) },
                        new JsonObject
                        {
                            ["type"] = "object-store",
                            ["endpoints"] = new JsonArray(Endpoint("internal", "two", wrong), Endpoint("public", "two", account)),
                        }),
                },
            };
        }
        else
            answer = new()
            {
                ["access"] = new JsonObject
                {
                    ["token"] = new JsonObject { ["id"] = token },
                    ["serviceCatalog"] = new JsonArray(new JsonObject
                    {
                        ["type"] = "object-store",
                        ["endpoints"] = new JsonArray(
                            new JsonObject { ["region"] = "one", ["publicURL"] = wrong },
                            new JsonObject { ["region"] = "two", ["publicURL"] = account, ["internalURL"] = wrong }),
                    }),
                },
            };
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(answer.ToJsonString());

        static JsonObject Endpoint(string kind, string region, string url) =>
            new() { ["interface"] = kind, ["region"] = region, ["region_id"] = region, ["url"] = url };
    }
}
