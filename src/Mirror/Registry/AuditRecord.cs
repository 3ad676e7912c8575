using Mirror.Access;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>
/// Writes a line of the audit log for a request that changed something, or that was refused because of the client's identity.
/// </summary>
public sealed class AuditRecord(AuditLog audit, IAccess access, TimeProvider time)
{
    /// <summary>Writes the line, if this request needs one. Call it when the request has been answered.</summary>
    public async ValueTask WriteAsync(RegistryRequest request)
    {
        if (!audit.IsOn || EventOf(request) is not { } what)
            return;
        var (http, route) = (request.Http, request.Route);
        var isRefusal = what is "login_refused" or "denied";
        RepositoryName? name = request.HasName(out var given) ? given : null;
        var action = ActionOf(request);
        audit.Write(new AuditLine(
            time.GetUtcNow(),
            what,
            request.RefusedUser ?? request.User?.Name,
            http.Connection.RemoteIpAddress?.ToString(),
            route.Name,
            route.Last,
            isRefusal ? null : (string?)http.Response.Headers["Docker-Content-Digest"],
            what is "mount" ? (string?)http.Request.Query["from"] : null,
            isRefusal ? Word(action) : null,
            isRefusal ? null : await access.RuleForAsync(request.User, name, action, CancellationToken.None),
            isRefusal ? request.Failed?.Detail ?? request.Failed?.Error.Message : null,
            http.TraceIdentifier));
    }

    private static string? EventOf(RegistryRequest request)
    {
        var (kind, method, status) = (request.Route.Kind, request.Http.Request.Method, request.Http.Response.StatusCode);
        if (request.RefusedUser is not null)
            return "login_refused";
        return (status, kind, method) switch
        {
            (403, _, _) => "denied",
            (401, _, _) when request.User is not null => "denied",
            (201, RouteKind.BlobUpload, "POST") when request.Http.Request.Query.ContainsKey("mount") => "mount",
            (201, RouteKind.Manifest or RouteKind.BlobUploadChunk, "PUT") or (201, RouteKind.BlobUpload, "POST") => "push",
            (202, RouteKind.Manifest or RouteKind.Blob, "DELETE") => "delete",
            _ => null,
        };
    }

    private static AccessAction ActionOf(RegistryRequest request) => request.Http.Request.Method switch
    {
        "DELETE" when request.Route.Kind is not RouteKind.BlobUploadChunk => AccessAction.Delete,
        "PUT" or "POST" or "PATCH" or "DELETE" => AccessAction.Push,
        _ => request.Route.Kind is RouteKind.Catalog ? AccessAction.List : AccessAction.Pull,
    };

    private static string Word(AccessAction action) => action switch
    {
        AccessAction.Push => "push",
        AccessAction.Delete => "delete",
        AccessAction.List => "list",
        AccessAction.Admin => "admin",
        _ => "pull",
    };
}
