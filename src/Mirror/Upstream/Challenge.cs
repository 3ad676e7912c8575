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
    private static readonly Uri NoAddress = new("null:");

    /// <summary>Whether it names a token service that can be asked. Nexus names <c>null://</c> beside Basic.</summary>
    public bool HasTokenService => Realm is not null && UpstreamOrigin.IsHttpWithoutUserInfo(Realm);

    /// <summary>
    /// The first challenge that the mirror can answer, Bearer before Basic. If there is none: a Bearer challenge whose token service cannot
    /// be asked, so that an error can say so; or else null.
    /// </summary>
    public static Challenge? From(HttpResponseMessage response)
    {
        Challenge? basic = null, unusable = null;
        foreach (var (scheme, parameters) in All(response))
        {
            if (scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase))
                basic = new Challenge(null, null);
            else if (scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase) && Bearer(parameters) is { } bearer)
            {
                if (bearer.HasTokenService)
                    return bearer;
                unusable ??= bearer;
            }
        }
        return basic ?? unusable;
    }

    /// <summary>Whether the answer says that the token is good, and does not give the right to the repository (RFC 6750, 3.1).</summary>
    public static bool IsOfScope(HttpResponseMessage response) => All(response).Any(challenge =>
        challenge.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)
        && Value(challenge.Parameters, "error") == "insufficient_scope");

    /// <summary>The scope that the answer wants a token for; null if it names none.</summary>
    public static string? ScopeOf(HttpResponseMessage response) => All(response)
        .Where(challenge => challenge.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase))
        .Select(challenge => Value(challenge.Parameters, "scope")).FirstOrDefault(scope => !string.IsNullOrEmpty(scope));

    private static IEnumerable<(string Scheme, string Parameters)> All(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("WWW-Authenticate", out var headers) ? headers.SelectMany(In) : [];

    // Registries also send values without quotes that need them, such as scope=repository:library/app:pull,push. Such a value must spoil
    // nothing else. The framework's own parser drops the whole header because of it, so this does not use that parser.
    private static List<(string Scheme, string Parameters)> In(string header)
    {
        List<(string Scheme, string Parameters)> challenges = [];
        var (scheme, from) = ("", 0);
        foreach (Match element in Element().Matches(header))
        {
            // A word alone is the name of a scheme, or the rest of a value without quotes. Only Basic means something without parameters.
            if (Start().Match(element.Value) is not { Success: true } start
                || !start.Groups["rest"].Success && !start.Groups["scheme"].Value.Equals("Basic", StringComparison.OrdinalIgnoreCase))
                continue;
            if (scheme.Length > 0)
                challenges.Add((scheme, header[from..element.Index]));
            (scheme, from) = (start.Groups["scheme"].Value, element.Index + start.Groups["scheme"].Index + start.Groups["scheme"].Length);
        }
        if (scheme.Length > 0)
            challenges.Add((scheme, header[from..]));
        return challenges;
    }

    private static string? Value(string parameters, string name) => Parameter().Matches(parameters)
        .FirstOrDefault(parameter => parameter.Groups["name"].Value.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } found
            ? Escaped().Replace(found.Groups["quoted"].Value, "$1") + found.Groups["bare"].Value
            : null;

    // A realm such as "//host:5000/token" is no address, and is still a token service: one that cannot be asked.
    private static Challenge? Bearer(string parameters) =>
        Value(parameters, "realm") is { Length: > 0 } text
            ? new Challenge(Uri.TryCreate(text, UriKind.Absolute, out var realm) ? realm : NoAddress, Value(parameters, "service"))
            : null;

    // What stands between two commas that are outside of quotes.
    [GeneratedRegex("""("(\\.|[^"\\])*"?|[^,"])+""", RegexOptions.ExplicitCapture)]
    private static partial Regex Element();

    // The name of a scheme: no "=" follows it.
    [GeneratedRegex("""\A\s*(?<scheme>[\w-]+)(\s+(?<rest>[^\s=].*)|\s*)\z""", RegexOptions.ExplicitCapture | RegexOptions.Singleline)]
    private static partial Regex Start();

    [GeneratedRegex("""(?<![\w-])(?<name>[\w-]+)\s*=\s*("(?<quoted>(\\.|[^"\\])*)"|(?<bare>[^\s,"]*))""", RegexOptions.ExplicitCapture)]
    private static partial Regex Parameter();

    [GeneratedRegex("""\\(.)""")]
    private static partial Regex Escaped();
}
