using Mirror.Configuration;

namespace Mirror.Access;

/// <summary>The <c>WWW-Authenticate</c> header that sends a client to a token server (RFC 6750, 3).</summary>
internal static class BearerChallenge
{
    /// <summary>The message for a client without a sufficient token.</summary>
    public const string Message = "authentication required";

    public static string Of(string realm, string service, string scope, string? error = null) =>
        $"Bearer realm={Quoted(realm)},service={Quoted(service)}"
        + (scope.Length > 0 ? $",scope={Quoted(scope)}" : "")
        + (error is null ? "" : $",error={Quoted(error)}");

    /// <summary>The token in an <c>Authorization</c> header; null unless the header is the word Bearer and one more word.</summary>
    public static string? TokenIn(string? authorization) =>
        authorization?.IndexOf(' ') is > 0 and var blank && !authorization.AsSpan(blank + 1).Contains(' ')
        && authorization.AsSpan(0, blank).Equals("Bearer", StringComparison.OrdinalIgnoreCase)
            ? authorization[(blank + 1)..]
            : null;

    /// <summary>A text between quotes (RFC 9110, 5.6.4).</summary>
    public static string Quoted(string text) =>
        $"\"{HeaderText.Of(text)
            .Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
