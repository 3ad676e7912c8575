using System.Text.Json;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Configuration.Old;
using Mirror.Search;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// The parts of the interface of docker-registry 0.x that clients still use: the ping, the login, and the search of <c>docker search
/// HOST/TERM</c>. No client of today can pull images through that interface.
/// </summary>
public sealed class V1Route(
    RepositorySearch search, IAccess access, PrivateReads privates, Locations locations, ProxyOptions proxy,
    OldConfiguration? old = null)
{
    private const int FlushSize = 16 * 1024;

    private const string Gone = "this registry speaks version 2 of the interface only. Pull and push with Docker 1.6 or later, or another "
        + "client of today; the command import-v1 of this server imports images of docker-registry 0.x";

    /// <summary>The part of a path behind <c>/v1/</c>, or <c>_ping</c>; null for any other path.</summary>
    public static string? PartOf(string path) =>
        path is "/_ping" ? "_ping" : path.StartsWith("/v1/", StringComparison.Ordinal) ? path["/v1/".Length..].TrimEnd('/') : null;

    /// <summary>The methods of a part of the path; none for a part that is no route.</summary>
    public static IReadOnlyList<string> MethodsOf(string part) => part switch
    {
        "_ping" or "search" => ["GET", "HEAD"],
        "users" => ["GET", "POST"],
        _ => [],
    };

    /// <exception cref="RegistryException">The client has no right to this.</exception>
    public async Task AnswerAsync(RegistryRequest request)
    {
        var (method, response) = (request.Http.Request.Method, request.Http.Response);
        SetHeaders(response);
        switch (MethodsOf(request.Route.Last).Contains(method) ? request.Route.Last : null)
        {
            // The proxies in front of old registries let these two through without a login.
            case "_ping":
                response.Headers["X-Docker-Registry-Standalone"] = proxy.HasUpstream ? "mirror" : "True";
                if (old is { IsDebug: true })
                    response.Headers["X-Docker-Registry-Config"] = old.Flavor;
                await JsonBody.WriteAsync(request, "{}"u8.ToArray());
                break;
            // The login of old clients.
            case "users":
                await AuthorizeAsync(request, AccessAction.Pull);
                if (method == "POST")
                    response.StatusCode = StatusCodes.Status201Created;
                await JsonBody.WriteAsync(request, method == "POST" ? "User Created" : "OK", RegistryJson.Default.String);
                break;
            case "search":
                await AuthorizeAsync(request, AccessAction.List);
                await SearchAsync(request);
                break;
            default:
                request.Failed = new RequestFailure(RegistryError.NotFound, Gone, null);
                response.StatusCode = StatusCodes.Status404NotFound;
                await JsonBody.WriteAsync(request, new OldError(Gone), RegistryJson.Default.OldError);
                break;
        }
    }

    /// <summary><c>/</c>: the text of the file of docker-registry 0.x; nothing without such a file.</summary>
    public Task AnswerRootAsync(RegistryRequest request)
    {
        if (old is null)
            return Task.CompletedTask;
        SetHeaders(request.Http.Response);
        return JsonBody.WriteAsync(request, old.Issue, RegistryJson.Default.String);
    }

    private async Task SearchAsync(RegistryRequest request)
    {
        // 1. The repositories that hold the term, and that the client may list.
        var query = request.Http.Request.Query;
        var term = Paging.Value(query, "q") ?? "";
        var count = Paging.Count(query) ?? int.MaxValue;
        var found = old is { SearchesNothing: true } ? [] : await search.FindAsync(term, count, MaySeeAsync, request.Aborted);

        // 2. The answer, in pieces: a registry may have many names. Its keys are sorted.
        request.Http.Response.ContentType = "application/json";
        if (request.IsHead)
            return;
        var body = request.Http.Response.BodyWriter;
        await using var json = new Utf8JsonWriter(body);
        json.WriteStartObject();
        json.WriteNumber("num_results", found.Count);
        json.WriteString("query", term);
        json.WriteStartArray("results");
        foreach (var each in found)
        {
            json.WriteStartObject();
            json.WriteString("description", each.Description);
            if (each.IsOfficial is { } isOfficial)
                json.WriteBoolean("is_official", isOfficial);
            json.WriteString("name", each.Name);
            if (each.Stars is { } stars)
                json.WriteNumber("star_count", stars);
            json.WriteEndObject();
            if (json.BytesPending > FlushSize)
                await FlushAsync();
        }
        json.WriteEndArray();
        json.WriteEndObject();
        await FlushAsync();

        async ValueTask<bool> MaySeeAsync(RepositoryName name) =>
            await access.AuthorizeAsync(request.User, name, AccessAction.List, request.Aborted)
            && await privates.MaySeeAsync(request, name);

        async Task FlushAsync()
        {
            await json.FlushAsync(request.Aborted);
            await body.FlushAsync(request.Aborted);
            request.Written = json.BytesCommitted;
        }
    }

    private async Task AuthorizeAsync(RegistryRequest request, AccessAction action)
    {
        if (!await access.AuthorizeAsync(request.User, null, action, request.Aborted))
            throw RegistryException.Of(access.Refuse(
                new(request.Http, request.User, null, action, locations.PublicBase(request.Http.Request))));
    }

    private static void SetHeaders(HttpResponse response)
    {
        response.Headers.CacheControl = "no-cache";
        response.Headers.Expires = "-1";
        response.Headers.Pragma = "no-cache";
    }
}
