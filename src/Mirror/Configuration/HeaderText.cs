using System.Buffers;

namespace Mirror.Configuration;

/// <summary>The text of a header's value: visible ASCII, spaces and tabs (RFC 9110, 5.5). The server cannot send others.</summary>
public static class HeaderText
{
    private static readonly SearchValues<char> Allowed =
        SearchValues.Create([.. Enumerable.Range(' ', '~' - ' ' + 1).Select(letter => (char)letter), '\t']);

    public static bool IsValid(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(Allowed);

    /// <summary>A text with <c>?</c> in place of each letter that no header can hold.</summary>
    public static string Of(string text) =>
        IsValid(text) ? text : string.Concat(text.EnumerateRunes().Select(letter => IsValid(letter.ToString()) ? (char)letter.Value : '?'));

    /// <summary>A URL as a header can hold it: with the ASCII name of its host, and with escapes in place of other letters.</summary>
    public static string Of(Uri url) =>
        IsValid(url.OriginalString) ? url.OriginalString : new UriBuilder(url) { Host = url.IdnHost }.Uri.AbsoluteUri;
}
