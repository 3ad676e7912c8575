using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>The signatures of requests to a bucket, and who may do what with them.</summary>
internal static class RiftSignature
{
    /// <summary>
    /// The hexadecimal HMAC-SHA512 of the method, the address and the <c>x-ell-</c> headers of a request
    /// (<c>generate_signature</c> in Rift's src/auth.cpp).
    /// </summary>
    public static string Of(HttpRequest request, string path, string token, RiftRelease release)
    {
        var text = new StringBuilder(request.Method).Append('\n');
        // The old release signs the address as an address is written, the new ones sign the path as it is meant.
        text.Append(release is RiftRelease.ByQuery ? string.Join('/', path.Split('/').Select(Escape)) : path);
        var items = QueryHelpers.ParseQuery(request.QueryString.Value)
            .SelectMany(item => item.Value.Select(value => (Name: LowerCase(item.Key), Value: value ?? "")))
            .OrderBy(item => item.Name, StringComparer.Ordinal).ThenBy(item => item.Value, StringComparer.Ordinal)
            .Select(item => $"{Escape(item.Name)}={Escape(item.Value)}").ToArray();
        if (items.Length > 0)
            text.Append('?').AppendJoin('&', items);
        text.Append('\n');
        foreach (var (name, value) in request.Headers
            .SelectMany(header => header.Value.Select(value => (Name: LowerCase(header.Key), Value: value)))
            .Where(header => header.Name.StartsWith("x-ell-", StringComparison.Ordinal))
            .OrderBy(header => header.Name, StringComparer.Ordinal).ThenBy(header => header.Value, StringComparer.Ordinal))
            text.Append(name).Append(':').Append(value).Append('\n');
        return Convert.ToHexStringLower(HMACSHA512.HashData(Encoding.UTF8.GetBytes(token), Encoding.UTF8.GetBytes(text.ToString())));
    }

    /// <summary>The verdict of release 0.6 on a request to a bucket: 200, 400 or 403.</summary>
    public static int VerdictByQuery(HttpRequest request, string path, RiftBucket bucket) =>
        bucket.Token.Length == 0 ? 200
        : request.Headers.Authorization.Count == 0 ? 400
        : request.Headers.Authorization == Of(request, path, bucket.Token, RiftRelease.ByQuery) ? 200 : 403;

    /// <summary>The verdict of the releases by path on a request that needs rights: 200, 401 or 403.</summary>
    public static int VerdictByPath(HttpRequest request, string path, RiftBucket bucket, RiftRights needed)
    {
        var rights = RiftRights.None;
        if (bucket.Users.Count > 0)
        {
            var (name, signature) = ("*", "");
            if (request.Headers.Authorization.Count > 0)
            {
                if (request.Headers.Authorization.ToString().Split(' ', 2) is not ["riftv1", var credentials])
                    return 403;
                var parts = credentials.Split(':', 2);
                (name, signature) = (parts[0], parts.Length > 1 ? parts[1] : "");
            }
            if (bucket.Users.FirstOrDefault(user => user.Name == name) is not { } found)
                return 403;
            rights = found.Rights;
            if (!rights.HasFlag(RiftRights.NoToken) && signature.Length == 0)
                return 401;
            if (!rights.HasFlag(RiftRights.NoToken) && signature != Of(request, path, found.Token, RiftRelease.ByPath))
                return 403;
        }
        return rights.HasFlag(needed) ? 200 : 403;
    }

    // As the library uriparser writes it: only the characters that are never escaped stay, a blank is a plus sign.
    private static string Escape(string text) => Uri.EscapeDataString(text).Replace("%20", "+", StringComparison.Ordinal);

    private static string LowerCase(string text) =>
        string.Create(text.Length, text, (to, from) => from.AsSpan().ToLowerInvariant(to));
}
