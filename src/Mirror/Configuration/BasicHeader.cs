using System.Net.Http.Headers;
using System.Text;

namespace Mirror.Configuration;

/// <summary>Makes <c>Authorization</c> headers of the scheme Basic (RFC 7617), in UTF-8.</summary>
public static class BasicHeader
{
    public static AuthenticationHeaderValue Of(string username, string password) => Encode($"{username}:{password}");

    /// <summary>The user name and password that a URL names before its host; null where it names none.</summary>
    public static AuthenticationHeaderValue? Of(Uri url) =>
        url.UserInfo is { Length: > 0 } user ? Encode(Uri.UnescapeDataString(user)) : null;

    private static AuthenticationHeaderValue Encode(string userInfo) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(userInfo)));
}
