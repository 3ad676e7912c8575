using System.Net.Http.Headers;
using System.Text.RegularExpressions;

namespace Mirror.Upstream;

/// <summary>
/// How an upstream wants clients to authenticate, from its <c>WWW-Authenticate</c> header (RFC 9110, 11.6.1; Docker's token
/// authentication).
/// </summary>
/// <param name="Realm">The token service, for Bearer; null for Basic.</param>
/// <param name="Service">The service that the token is for, if the upstream names one.</param>
public sealed partial record Challenge(Uri? Realm, string? Service)
{
    /// <summary>The first challenge that the mirror can answer, Bearer before Basic; null if there is none.</summary>
    public static Challenge? From(HttpResponseMessage response)
    {
        Challenge? basic = null;
        foreach (var header in response.Headers.WwwAuthenticate)
        {
            if (header.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase))
                basic = new Challenge(null, null);
            else if (header.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase) && Bearer(header) is { } bearer)
                return bearer;
        }
        return basic;
    }

    /// <summary>Whether the answer says that the token is good, and does not give the right to the repository (RFC 6750, 3.1).</summary>
    public static bool IsOfScope(HttpResponseMessage response) => response.Headers.WwwAuthenticate.Any(
        header => header.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase) && Value(header, "error") == "insufficient_scope");

    // Registries also send values without quotes that need them, such as scope=repository:library/app:pull. They spoil no other value.
    private static string? Value(AuthenticationHeaderValue header, string name) => Parameter().Matches(header.Parameter ?? "")
        .FirstOrDefault(parameter => parameter.Groups["name"].Value.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } found
            ? Escaped().Replace(found.Groups["quoted"].Value, "$1") + found.Groups["bare"].Value
            : null;

    private static Challenge? Bearer(AuthenticationHeaderValue header) =>
        Uri.TryCreate(Value(header, "realm"), UriKind.Absolute, out var realm) ? new Challenge(realm, Value(header, "service")) : null;

    [GeneratedRegex("""(?<![\w-])(?<name>[\w-]+)\s*=\s*("(?<quoted>(\\.|[^"\\])*)"|(?<bare>[^\s,"]*))""", RegexOptions.ExplicitCapture)]
    private static partial Regex Parameter();

    [GeneratedRegex("""\\(.)""")]
    private static partial Regex Escaped();
}
