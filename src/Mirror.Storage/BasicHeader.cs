using System.Net.Http.Headers;
using System.Text;

namespace Mirror.Storage;

/// <summary>Makes and reads <c>Authorization</c> headers of the scheme Basic (RFC 7617), in UTF-8.</summary>
public static class BasicHeader
{
    public static AuthenticationHeaderValue Of(string username, string password) => Of($"{username}:{password}");

    /// <param name="userInfo">The user name and the password, with a colon between them.</param>
    public static AuthenticationHeaderValue Of(string userInfo) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(userInfo)));

    /// <summary>The user name and password that a URL names before its host; null where it names none.</summary>
    public static AuthenticationHeaderValue? Of(Uri url) =>
        url.UserInfo is { Length: > 0 } user ? Of(Uri.UnescapeDataString(user)) : null;

    /// <summary>The user name, which is not empty, and the password in a header; null for any other header.</summary>
    public static (string User, string Password)? Read(string? authorization)
    {
        if (!AuthenticationHeaderValue.TryParse(authorization, out var header)
            || !header.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase))
            return null;
        Span<byte> decoded = new byte[authorization!.Length];
        if (!Convert.TryFromBase64String(header.Parameter ?? "", decoded, out var length))
            return null;
        var text = Encoding.UTF8.GetString(decoded[..length]);
        return text.IndexOf(':') is > 0 and var colon ? (text[..colon], text[(colon + 1)..]) : null;
    }
}
