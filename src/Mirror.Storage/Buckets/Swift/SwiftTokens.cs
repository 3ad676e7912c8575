using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>The address of the account, and a token for it.</summary>
internal sealed record SwiftAccess(Uri Account, string Token);

/// <summary>
/// Gets tokens: from Swift itself in version 1, and from Keystone in versions 2 and 3. The password goes to the configured address only.
/// </summary>
internal sealed class SwiftTokens(SwiftOptions options, HttpClient http) : IDisposable
{
    private const int MaxAnswer = 4 << 20;

    private readonly SemaphoreSlim _renewing = new(1);
    private SwiftAccess? _access;

    /// <summary>The last token, or a new one.</summary>
    /// <param name="refused">A token that the store no longer accepts.</param>
    /// <exception cref="SwiftException">The service refused.</exception>
    public async ValueTask<SwiftAccess> GetAsync(SwiftAccess? refused, CancellationToken cancellationToken)
    {
        if (_access is { } known && known != refused)
            return known;
        await _renewing.WaitAsync(cancellationToken);
        try
        {
            // Another call may have renewed it meanwhile.
            if (_access is { } renewed && renewed != refused)
                return renewed;
            return _access = await RequestAsync(cancellationToken);
        }
        finally
        {
            _renewing.Release();
        }
    }

    public void Dispose() => _renewing.Dispose();

    private async Task<SwiftAccess> RequestAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await (options.Version switch
            {
                1 => Version1Async(cancellationToken),
                2 => Version2Async(cancellationToken),
                _ => Version3Async(cancellationToken),
            });
        }
        // JsonNode throws these at what is of another kind, or twice there.
        catch (Exception other) when (other is InvalidOperationException or ArgumentException)
        {
            throw Unusable($"another form than Keystone's: {other.Message}");
        }
    }

    private async Task<SwiftAccess> Version1Async(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, options.AuthUrl);
        request.Headers.TryAddWithoutValidation("X-Auth-User", options.Username);
        request.Headers.TryAddWithoutValidation("X-Auth-Key", options.Password);
        using var answer = await SendAsync(request, cancellationToken);
        return new(Account(Header(answer, "X-Storage-Url")), Header(answer, "X-Auth-Token"));
    }

    private async Task<SwiftAccess> Version2Async(CancellationToken cancellationToken)
    {
        var login = new JsonObject
        {
            ["passwordCredentials"] = new JsonObject { ["username"] = options.Username, ["password"] = options.Password },
        };
        if (options.TenantId is { } id)
            login["tenantId"] = id;
        else if (options.Tenant is { } name)
            login["tenantName"] = name;
        using var answer = await PostAsync("tokens", new() { ["auth"] = login }, cancellationToken);
        var access = (await DocumentAsync(answer, cancellationToken))["access"];
        var address = Stores(access?["serviceCatalog"], "endpoints")
            .Where(endpoint => IsInRegion(endpoint, "region"))
            .Select(endpoint => (string?)endpoint[$"{Word(options.EndpointType)}URL"])
            .FirstOrDefault(url => url is not null);
        return new(Account(address), (string?)access?["token"]?["id"] ?? throw Unusable("no token"));
    }

    private async Task<SwiftAccess> Version3Async(CancellationToken cancellationToken)
    {
        var domain = Named(options.Domain, options.DomainId) ?? new() { ["id"] = "default" };
        var auth = new JsonObject
        {
            ["identity"] = new JsonObject
            {
                ["methods"] = new JsonArray("password"),
                ["password"] = new JsonObject
                {
                    ["user"] = new JsonObject { ["name"] = options.Username, ["domain"] = domain, ["password"] = options.Password },
                },
            },
        };
        if (options.TrustId is { } trust)
            auth["scope"] = new JsonObject { ["OS-TRUST:trust"] = new JsonObject { ["id"] = trust } };
        else if (options.TenantId is { } id)
            auth["scope"] = new JsonObject { ["project"] = new JsonObject { ["id"] = id } };
        else if (options.Tenant is { } name)
            auth["scope"] = new JsonObject
            {
                ["project"] = new JsonObject
                {
                    ["name"] = name,
                    ["domain"] = Named(options.TenantDomain, options.TenantDomainId) ?? domain.DeepClone(),
                },
            };
        using var answer = await PostAsync("auth/tokens", new() { ["auth"] = auth }, cancellationToken);
        var token = (await DocumentAsync(answer, cancellationToken))["token"];
        var address = Stores(token?["catalog"], "endpoints")
            .Where(endpoint => (string?)endpoint["interface"] == Word(options.EndpointType)
                && (IsInRegion(endpoint, "region") || IsInRegion(endpoint, "region_id")))
            .Select(endpoint => (string?)endpoint["url"])
            .FirstOrDefault(url => url is not null);
        return new(Account(address), Header(answer, "X-Subject-Token"));
    }

    private static JsonObject? Named(string? name, string? id) =>
        id is not null ? new() { ["id"] = id } : name is not null ? new() { ["name"] = name } : null;

    private static IEnumerable<JsonNode> Stores(JsonNode? catalogue, string endpoints) =>
        from service in catalogue as JsonArray ?? []
        where (string?)service?["type"] == "object-store"
        from endpoint in service["endpoints"] as JsonArray ?? []
        where endpoint is not null
        select endpoint;

    private bool IsInRegion(JsonNode endpoint, string key) => options.Region is null || (string?)endpoint[key] == options.Region;

    private static string Word(SwiftEndpointType type) => type switch
    {
        SwiftEndpointType.Internal => "internal",
        SwiftEndpointType.Admin => "admin",
        _ => "public",
    };

    private async Task<HttpResponseMessage> PostAsync(string path, JsonObject document, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{options.AuthUrl.TrimEnd('/')}/{path}")
        {
            Content = new StringContent(document.ToJsonString(), Encoding.UTF8, "application/json"),
        };
        return await SendAsync(request, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (answer.IsSuccessStatusCode)
            return answer;
        var status = answer.StatusCode;
        answer.Dispose();
        // A wrong password is 401 in all versions. Keystone answers 404 for an address without its version.
        throw status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
            ? new SwiftException(HttpStatusCode.Unauthorized, $"authurl does not accept username and password ({(int)status})")
            : new SwiftException(status is HttpStatusCode.NotFound ? HttpStatusCode.BadGateway : status,
                $"authurl answers {(int)status}");
    }

    private static async Task<JsonNode> DocumentAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        await answer.Content.LoadIntoBufferAsync(MaxAnswer, cancellationToken);
        try
        {
            return JsonNode.Parse(await answer.Content.ReadAsByteArrayAsync(cancellationToken)) ?? throw Unusable("an empty document");
        }
        catch (JsonException)
        {
            throw Unusable("no JSON");
        }
    }

    private static string Header(HttpResponseMessage answer, string name) =>
        answer.Headers.TryGetValues(name, out var values) ? values.First() : throw Unusable($"no header {name}");

    private Uri Account(string? address) => Uri.TryCreate(address, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
        ? url
        : throw Unusable("no object store" + (options.Region is null ? "" : $" in region {options.Region}"));

    private static SwiftException Unusable(string what) => new(HttpStatusCode.BadGateway, $"the answer of authurl has {what}");
}
