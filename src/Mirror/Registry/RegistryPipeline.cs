using System.Buffers;
using Microsoft.AspNetCore.Http.Features;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Limits;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>The steps around every answer, in their order.</summary>
public sealed class RegistryPipeline(
    RegistryRoutes routes, ErrorAnswers errors, RequestRecord record, AuditRecord audit, IAccess access, TrustedProxies proxies,
    ReplicaSignature signature, HttpOptions http, Cors cors, RequestMetrics metrics, ClientsSeen clients, TimeProvider time,
    UpstreamSelector upstreams, HealthChecks? health = null)
{
    private static readonly SearchValues<char> HostCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]");

    private readonly string _prefix = http.Prefix.TrimEnd('/');

    /// <summary>Answers one request. Never throws.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        var connection = context.Features.Get<ClientConnection>();
        connection?.RequestStarted();
        // 1. What is asked for, and where from.
        var started = time.GetTimestamp();
        var isFromReplica = signature.IsFromReplica(context.Request);
        var request = new RegistryRequest(context, RouteOf(context), isFromReplica);
        request.IsForwarded = proxies.Apply(context, request.IsFromReplica);
        metrics.Started(request.Route.Kind);

        // 2. The headers of every answer.
        ContentHeaders.SetCommon(context.Response.Headers, http);
        if (request.Namespace is { Length: <= RepositoryName.MaxLength } ns && !ns.AsSpan().ContainsAnyExcept(HostCharacters))
            context.Response.Headers["OCI-Namespace"] = ns;
        try
        {
            TransferCodings.RequireKnown(context);

            // 3. Is the server healthy, and who is the client? Load balancers ask for "/" without credentials.
            var isRegistryRoute = request.Route.Kind is not RouteKind.Other;
            if (isRegistryRoute)
                cors.AddTo(context);
            if (CleanPath.Of(context.Request.Path.Value ?? "", RouteOf) is { } clean && Redirect(context, clean))
                return;
            if (isRegistryRoute && context.Request.Headers.TryGetValue(LoopMark.Header, out var marks))
                RefuseLoop(marks.ToString());
            if (health?.Refuse(asksForHealth: !isRegistryRoute) == true)
                throw new RegistryException(RegistryError.Unavailable, "a check of section health fails")
                {
                    Advice = "/debug/health says which check fails, and why",
                };
            // A browser asks OPTIONS without credentials before it asks with them.
            if (isRegistryRoute && HttpMethods.IsOptions(context.Request.Method))
            {
                routes.AnswerOptions(request);
                return;
            }
            if (isRegistryRoute && request.Route.Kind is not RouteKind.Token)
            {
                request.User = await access.AuthenticateAsync(context, request.Aborted);
                if (request.User is null && context.Request.Headers.Authorization is [{ } authorization, ..])
                    request.RefusedUser = access.RefusedUser(authorization);
            }

            // 4. The answer, or the error in its place.
            await routes.AnswerAsync(request);
        }
        catch (Exception failure)
        {
            await errors.AnswerAsync(request, failure);
        }
        finally
        {
            // 5. Metrics, trace and logs.
            await audit.WriteAsync(request);
            record.Write(request, time.GetElapsedTime(started));
            if (connection is not null && !request.IsFromReplica)
                connection.Noted = clients.Note(request, connection.Noted);
            connection?.RequestEnded();
        }
    }

    // The new address is a path alone, with one slash at its start: "//host/" would be another server.
    private static bool Redirect(HttpContext context, string path)
    {
        var query = context.Request.QueryString.Value ?? "";
        var sent = context.Features.Get<IHttpRequestFeature>()?.RawTarget.Split('?')[0] ?? "";
        // An escaped percent sign is decoded in the path, and its meaning is lost. An escaped slash separates nothing. A header takes ASCII
        // only.
        if (query.AsSpan().ContainsAnyExceptInRange('!', '~') || sent.Contains("%25", StringComparison.Ordinal)
            || sent.Contains("%2F", StringComparison.OrdinalIgnoreCase))
            return false;
        context.Response.StatusCode = StatusCodes.Status301MovedPermanently;
        context.Response.Headers.Location = new PathString(path).ToUriComponent() + query;
        return true;
    }

    private void RefuseLoop(string marks)
    {
        if (LoopMark.Receive(marks, upstreams.All.Select(mirror => mirror.Upstream.Origin)) is { } upstream)
            throw new RegistryException(
                RegistryError.LoopDetected, $"this mirror asks itself through {upstream.Authority}: its own request came back to it")
            {
                Advice = "write the address of the registry that is to be mirrored in proxy.remoteurl; if the upstream is another mirror, "
                    + "its upstream must not be this one",
            };
    }

    // Some clients escape the slashes in a repository's name, and Kestrel decodes all of a path but %2F. The path itself gets the slashes,
    // too: another replica may get the request. "%252F" looks the same in the decoded path, but is no slash.
    private RegistryRoute RouteOf(HttpContext context)
    {
        var path = context.Request.Path.Value ?? "";
        var route = RouteOf(path);
        if (!route.Name.Contains("%2F", StringComparison.OrdinalIgnoreCase)
            || context.Features.Get<IHttpRequestFeature>()?.RawTarget.Split('?')[0].Contains("%25", StringComparison.Ordinal) == true)
            return route;
        var end = path.Length - route.Last.Length;
        context.Request.Path = WithSlashes(path[..end]) + path[end..];
        return route with { Name = WithSlashes(route.Name) };

        static string WithSlashes(string escaped) => escaped.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
    }

    private RegistryRoute RouteOf(string path) =>
        // Addresses that are joined with a slash too many: "//v2/".
        path.StartsWith("//", StringComparison.Ordinal) ? RouteOf($"/{path.TrimStart('/')}")
        : _prefix.Length == 0 ? RegistryRoute.Of(path)
        // The prefix "/x" is not that of "/xy/v2/".
        : path.StartsWith(_prefix, StringComparison.Ordinal) && path.AsSpan(_prefix.Length) is ['/', ..]
            ? RegistryRoute.Of(path[_prefix.Length..])
        : new RegistryRoute(RouteKind.Other, "", "");
}
