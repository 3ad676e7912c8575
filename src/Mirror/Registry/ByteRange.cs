using Microsoft.Net.Http.Headers;

namespace Mirror.Registry;

/// <summary>The part of a body that a client asks for (RFC 9110, 14).</summary>
internal static class ByteRange
{
    /// <summary>
    /// The bytes wanted, end exclusive; null for the whole, which also answers several ranges at once and units other than bytes. An empty part
    /// (<c>From == End</c>) means that it cannot be satisfied.
    /// </summary>
    /// <param name="length">The whole length in bytes.</param>
    public static (long From, long End)? Of(HttpRequest request, long length, string etag)
    {
        var asked = request.Headers.Range.ToString();
        if (!asked.StartsWith("bytes=", StringComparison.OrdinalIgnoreCase))
            return null;
        // If-Range: a part of what the client has the rest of, or else the whole.
        if (request.Headers.IfRange is { Count: > 0 } condition && condition != etag)
            return null;
        // "500-0" does not parse. The specification's tests want 416 for it, not the whole.
        if (!RangeHeaderValue.TryParse(asked, out var range))
            return (0, 0);
        if (range.Ranges.Count != 1)
            return null;
        var only = range.Ranges.First();
        return (only.From, only.To) switch
        {
            ({ } from, { } to) => from < length ? (from, Math.Min(to, length - 1) + 1) : (0, 0),
            ({ } from, null) => from < length ? (from, length) : (0, 0),
            (null, { } suffix) => (length - Math.Min(suffix, length), length),
            _ => (0, 0),
        };
    }
}
