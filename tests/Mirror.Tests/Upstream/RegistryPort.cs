using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Upstream;

/// <summary>The registry's own port: what <c>registry-1.docker.io</c> answers.</summary>
internal static partial class RegistryPort
{
    internal static bool TryParse(string path, out Asked asked, out string repository, out string reference)
    {
        var match = Route().Match(path);
        (asked, repository, reference) = match.Success
            ? (match.Groups["kind"].Value switch { "manifests" => Asked.Manifest, "blobs" => Asked.Blob, _ => Asked.Tags },
                match.Groups["name"].Value, match.Groups["reference"].Value)
            : (Asked.Other, "", "");
        return match.Success;
    }

    internal static async Task AnswerAsync(HttpContext context, ScriptedHub hub)
    {
        context.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        var known = TryParse(context.Request.Path, out var asked, out var name, out var reference);
        if (hub.AsksForTokens && !IsAllowed(context, hub, name, out var error))
            await ChallengeAsync(context, hub, name, error);
        else if (context.Request.Path.Value!.TrimEnd('/') == "/v2")
            await WriteAsync(context, 200, "application/json", "{}"u8.ToArray());
        else if (!known)
            await ErrorAsync(context, 404, "UNSUPPORTED");
        else if (!hub.Repositories.TryGetValue(name, out var repository))
            // Docker Hub tells no client whether a repository is private or does not exist.
            await ChallengeAsync(context, hub, name, "insufficient_scope");
        else if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
            await ErrorAsync(context, 405, "UNSUPPORTED");
        else
            await (asked switch
            {
                Asked.Manifest => ManifestAsync(context, hub, repository, reference),
                Asked.Blob => BlobAsync(context, hub, name, repository, reference),
                _ => TagsAsync(context, name, repository),
            });
    }

    internal static async Task ChallengeAsync(HttpContext context, ScriptedHub hub, string name, string? error)
    {
        var scope = name.Length == 0 ? "" : $",scope=\"repository:{name}:pull\"";
        var reason = error is null ? "" : $",error=\"{error}\"";
        context.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{hub.Realm}\",service=\"registry.docker.io\"{scope}{reason}";
        await ErrorAsync(context, 401, "UNAUTHORIZED");
    }

    private static bool IsAllowed(HttpContext context, ScriptedHub hub, string name, out string? error)
    {
        var header = context.Request.Headers.Authorization.ToString();
        error = header.Length == 0 ? null : "invalid_token";
        if (!header.StartsWith("Bearer ", StringComparison.Ordinal) || !hub.Tokens.TryGetValue(header["Bearer ".Length..], out var scopes))
            return false;
        error = "insufficient_scope";
        return name.Length == 0 || scopes.Split(' ').Contains($"repository:{name}:pull");
    }

    private static async Task ManifestAsync(HttpContext context, ScriptedHub hub, HubRepository repository, string reference)
    {
        var isGet = HttpMethods.IsGet(context.Request.Method);
        var used = isGet ? hub.CountPull() : hub.Pulls;
        var response = context.Response;
        if (hub.PullLimit is { } limit)
        {
            response.Headers["ratelimit-limit"] = $"{limit};w=21600";
            response.Headers["ratelimit-remaining"] = $"{Math.Max(0, limit - used)};w=21600";
            response.Headers["docker-ratelimit-source"] = "127.0.0.1";
            if (isGet && used > limit)
            {
                await ErrorAsync(context, 429, "TOOMANYREQUESTS");
                return;
            }
        }
        if (repository.Find(reference) is not { } manifest || manifest.IsOci && !AcceptsOci(context))
        {
            await ErrorAsync(context, 404, "MANIFEST_UNKNOWN");
            return;
        }
        response.Headers["Docker-Content-Digest"] = manifest.Digest.ToString();
        response.Headers.ETag = $"\"{manifest.Digest}\"";
        await WriteAsync(context, 200, manifest.MediaType, manifest.Bytes);
    }

    /// <summary>OCI content is "not there" for those who did not say they understand it.</summary>
    private static bool AcceptsOci(HttpContext context)
    {
        var accept = context.Request.Headers.Accept.ToString();
        return accept.Contains("application/vnd.oci.", StringComparison.Ordinal) || accept.Contains("*/*", StringComparison.Ordinal);
    }

    private static async Task BlobAsync(HttpContext context, ScriptedHub hub, string name, HubRepository repository, string reference)
    {
        if (!repository.Blobs.TryGetValue(reference, out var blob))
        {
            await ErrorAsync(context, 404, "BLOB_UNKNOWN");
            return;
        }
        context.Response.Headers["Docker-Content-Digest"] = reference;
        if (HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.Headers.ETag = $"\"{reference}\"";
            context.Response.Headers.AcceptRanges = "bytes";
            context.Response.ContentType = "application/octet-stream";
            context.Response.ContentLength = blob.Size;
        }
        else if (hub.RedirectsBlobs)
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = hub.Sign(name, blob.Digest).ToString();
        }
        else
            await CdnPort.SendAsync(context, hub, blob);
    }

    private static async Task TagsAsync(HttpContext context, string name, HubRepository repository)
    {
        var query = context.Request.Query;
        var last = query["last"].ToString();
        var rest = repository.Tags.Keys.Where(t => string.CompareOrdinal(t, last) > 0).Order(StringComparer.Ordinal).ToList();
        var page = int.TryParse(query["n"], out var n) ? rest.Take(n).ToList() : rest;
        if (page.Count > 0 && page.Count < rest.Count)
            context.Response.Headers.Link = $"</v2/{name}/tags/list?last={Uri.EscapeDataString(page[^1])}&n={n}>; rel=\"next\"";
        await WriteAsync(context, 200, "application/json", JsonSerializer.SerializeToUtf8Bytes(new { name, tags = page }));
    }

    internal static Task ErrorAsync(HttpContext context, int status, string code)
    {
        var body = new { errors = new[] { new { code, message = "as scripted" } } };
        return WriteAsync(context, status, "application/json", JsonSerializer.SerializeToUtf8Bytes(body));
    }

    private static async Task WriteAsync(HttpContext context, int status, string type, byte[] body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        context.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    [GeneratedRegex(
        @"\A/v2/(?<name>.+)/(?:(?<kind>manifests|blobs)/(?<reference>[^/]+)|(?<kind>tags)/list)\z", RegexOptions.CultureInvariant)]
    private static partial Regex Route();
}
