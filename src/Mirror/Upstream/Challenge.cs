using System.Net.Http.Headers;
using NameValueHeaderValue = Microsoft.Net.Http.Headers.NameValueHeaderValue;

namespace Mirror.Upstream;

/// <summary>
/// How an upstream wants clients to authenticate, from its <c>WWW-Authenticate</c> header (RFC 9110, 11.6.1; Docker's token
/// authentication).
/// </summary>
/// <param name="Realm">The token service, for Bearer; null for Basic.</param>
/// <param name="Service">The service that the token is for, if the upstream names one.</param>
public sealed record Challenge(Uri? Realm, string? Service)
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

    private static Challenge? Bearer(AuthenticationHeaderValue header)
    {
        if (!NameValueHeaderValue.TryParseList([header.Parameter ?? ""], out var parameters))
            return null;
        string? Value(string name) => parameters
            .FirstOrDefault(parameter => parameter.Name.Equals(name, StringComparison.OrdinalIgnoreCase))?.GetUnescapedValue().ToString();
        return Uri.TryCreate(Value("realm"), UriKind.Absolute, out var realm) ? new Challenge(realm, Value("service")) : null;
    }
}
