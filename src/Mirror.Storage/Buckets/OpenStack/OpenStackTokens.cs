using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mirror.Storage.Buckets.OpenStack;

/// <summary>The address of a service, and a token for it.</summary>
/// <param name="Token">Null: the service wants none.</param>
internal sealed record OpenStackAccess(Uri Endpoint, string? Token);

/// <summary>A service, as Keystone's catalogue has it.</summary>
/// <param name="Type">Its type there.</param>
/// <param name="What">Its name in messages.</param>
/// <param name="Endpoint">Its address, if that is not to be taken from the catalogue.</param>
/// <param name="Version">The last part of its address, which not all catalogues have. Null: the address is complete.</param>
internal sealed record OpenStackService(string Type, string What, Uri? Endpoint = null, string? Version = null)
{
    public static readonly OpenStackService ObjectStore = new("object-store", "object store");

    /// <summary>The address that ends with <see cref="Version"/>, in place of another version.</summary>
    public Uri At(Uri address)
    {
        if (Version is null)
            return address;
        var text = address.OriginalString.TrimEnd('/');
        var slash = text.LastIndexOf('/');
        return new($"{(text[(slash + 1)..] is ['v', >= '0' and <= '9', ..] ? text[..slash] : text)}/{Version}");
    }
}

/// <summary>
/// Gets tokens: from Swift itself in version 1, and from Keystone in versions 2 and 3. The password goes to the configured address only.
/// </summary>
internal sealed class OpenStackTokens(OpenStackOptions options, OpenStackService service, HttpClient http) : IDisposable
{
    private const int MaxAnswer = 4 << 20;

    private readonly SemaphoreSlim _renewing = new(1);
    private OpenStackAccess? _access;

    /// <summary>The last token, or a new one.</summary>
    /// <param name="refused">A token that the store no longer accepts.</param>
    /// <exception cref="OpenStackException">The service of the tokens refused.</exception>
    public async ValueTask<OpenStackAccess> GetAsync(OpenStackAccess? refused, CancellationToken cancellationToken)
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

    private async Task<OpenStackAccess> RequestAsync(CancellationToken cancellationToken)
    {
        if (options.AuthUrl.Length == 0 && service.Endpoint is { } open)
            return new(service.At(open), Token: null);
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

    private async Task<OpenStackAccess> Version1Async(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, options.AuthUrl);
        request.Headers.TryAddWithoutValidation("X-Auth-User", options.Username);
        request.Headers.TryAddWithoutValidation("X-Auth-Key", options.Password);
        using var answer = await SendAsync(request, cancellationToken);
        return new(Address(service.Endpoint is null ? Header(answer, "X-Storage-Url") : null), Header(answer, "X-Auth-Token"));
    }

    private async Task<OpenStackAccess> Version2Async(CancellationToken cancellationToken)
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
        var address = Endpoints(access?["serviceCatalog"])
            .Where(endpoint => IsInRegion(endpoint, "region"))
            .Select(endpoint => (string?)endpoint[$"{Word(options.EndpointType)}URL"])
            .FirstOrDefault(url => url is not null);
        return new(Address(address), (string?)access?["token"]?["id"] ?? throw Unusable("no token"));
    }

    private async Task<OpenStackAccess> Version3Async(CancellationToken cancellationToken)
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
        var address = Endpoints(token?["catalog"])
            .Where(endpoint => (string?)endpoint["interface"] == Word(options.EndpointType)
                && (IsInRegion(endpoint, "region") || IsInRegion(endpoint, "region_id")))
            .Select(endpoint => (string?)endpoint["url"])
            .FirstOrDefault(url => url is not null);
        return new(Address(address), Header(answer, "X-Subject-Token"));
    }

    private static JsonObject? Named(string? name, string? id) =>
        id is not null ? new() { ["id"] = id } : name is not null ? new() { ["name"] = name } : null;

    private IEnumerable<JsonNode> Endpoints(JsonNode? catalogue) =>
        from offered in catalogue as JsonArray ?? []
        where (string?)offered?["type"] == service.Type
        from endpoint in offered["endpoints"] as JsonArray ?? []
        where endpoint is not null
        select endpoint;

    private bool IsInRegion(JsonNode endpoint, string key) => options.Region is null || (string?)endpoint[key] == options.Region;

    private static string Word(OpenStackEndpointType type) => type switch
    {
        OpenStackEndpointType.Internal => "internal",
        OpenStackEndpointType.Admin => "admin",
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
            ? new OpenStackException(HttpStatusCode.Unauthorized, $"authurl does not accept username and password ({(int)status})")
            : new OpenStackException(status is HttpStatusCode.NotFound ? HttpStatusCode.BadGateway : status,
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

    private Uri Address(string? address) => service.At(service.Endpoint ?? Listed(address));

    private Uri Listed(string? address) => Uri.TryCreate(address, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
        ? url
        : throw Unusable($"no {service.What}" + (options.Region is null ? "" : $" in region {options.Region}"));

    private static OpenStackException Unusable(string what) => new(HttpStatusCode.BadGateway, $"the answer of authurl has {what}");
}
