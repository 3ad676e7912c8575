using Mirror.Registry;
using Mirror.Telemetry;

namespace Mirror.Admin;

/// <summary>What an administrator has changed, for the audit log.</summary>
/// <param name="Event">Such as <c>purge</c>.</param>
public sealed record AdminChange(string Event, ImageName Image);

/// <summary>Writes the line of the audit log for a change, and for a request that was refused: for who the client is, or because the image
/// is pinned or was pushed.</summary>
public sealed class AdminAudit(AuditLog audit, TimeProvider time)
{
    /// <summary>Writes a line if the request is one of these. Call it when the request has been answered.</summary>
    public void Write(RegistryRequest request)
    {
        var http = request.Http;
        var change = http.Response.StatusCode < 400 ? http.Features.Get<AdminChange>() : null;
        var isRefused = http.Response.StatusCode is StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden
            or StatusCodes.Status409Conflict;
        if (!audit.IsOn || change is null && !isRefused)
            return;
        audit.Write(new AuditLine(
            time.GetUtcNow(),
            change?.Event ?? (request.RefusedUser is null ? "denied" : "login_refused"),
            request.RefusedUser ?? request.User?.Name,
            http.Connection.RemoteIpAddress?.ToString(),
            change?.Image.Name.ToString(),
            change?.Image.Reference?.ToString(),
            null,
            null,
            isRefused ? "admin" : null,
            null,
            isRefused ? request.Failed?.Detail : null,
            http.TraceIdentifier));
    }
}
