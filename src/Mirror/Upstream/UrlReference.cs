namespace Mirror.Upstream;

/// <summary>
/// The URLs in an upstream's <c>Location</c> and <c>Link</c> headers. They are sent unchanged: a signature or a cursor covers the
/// escapes, the dots and the case of its URL, all of which <see cref="Uri"/> would change.
/// </summary>
internal static class UrlReference
{
    private static readonly UriCreationOptions ToTheLetter = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <summary>The URL that a reference means (RFC 3986, 5.2), without its fragment; null where it means none.</summary>
    /// <param name="from">The URL of the answer that has the header.</param>
    public static Uri? Resolve(Uri from, string reference)
    {
        var text = Escaped(reference.Split('#')[0].Trim(' ', '\t'));
        var absolute =
            text.StartsWith("//", StringComparison.Ordinal) ? $"{from.Scheme}:{text}"
            : text.StartsWith('/') ? from.GetLeftPart(UriPartial.Authority) + text
            : text.StartsWith('?') ? from.GetLeftPart(UriPartial.Path) + text
            : HasScheme(text) ? text
            // In the folder of the answer's URL. The dots of such a reference are there to be resolved.
            : Uri.TryCreate(from, text, out var inFolder) ? inFolder.AbsoluteUri
            : text;
        return Uri.TryCreate(WithPath(absolute), ToTheLetter, out var url) ? url : null;
    }

    private static bool HasScheme(string text) => text.AsSpan().IndexOfAny("/?:") is > 0 and var end && text[end] == ':';

    // "https://host?query" has an empty path, which a request line cannot have.
    private static string WithPath(string url)
    {
        var host = url.IndexOf("://", StringComparison.Ordinal) + 3;
        var end = url.AsSpan(host).IndexOfAny('/', '?');
        return host < 3 || end >= 0 && url[host + end] == '/' ? url : url.Insert(end < 0 ? url.Length : host + end, "/");
    }

    // A header may have bytes that a request line may not have. Their characters are one byte each here; others come from no header.
    private static string Escaped(string text) => text.AsSpan().ContainsAnyExceptInRange('!', '~')
        ? string.Concat(text.Select(letter => letter is >= '!' and <= '~' ? letter.ToString() : Uri.HexEscape((char)(letter & 0xFF))))
        : text;
}
