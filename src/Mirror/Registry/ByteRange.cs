using Microsoft.Net.Http.Headers;

namespace Mirror.Registry;

/// <summary>The <c>Range</c> of a request (RFC 9110, 14).</summary>
internal static class ByteRange
{
    /// <summary>
    /// The requested bytes, end exclusive; null for the whole, also for several ranges at once and for units other than bytes. An empty
    /// range (<c>From == End</c>) cannot be satisfied (416).
    /// </summary>
    /// <param name="length">The length of the whole in bytes.</param>
    /// <param name="etag">The whole's ETag, with quotes, for <c>If-Range</c>.</param>
    public static (long From, long End)? Of(HttpRequest request, long length, string etag)
    {
        var asked = request.Headers.Range.ToString();
        if (!asked.StartsWith("bytes=", StringComparison.OrdinalIgnoreCase))
            return null;
        // If-Range names the content of which the client has other parts. If that is not this content, it needs the whole.
        if (request.Headers.IfRange is { Count: > 0 } condition && condition != etag)
            return null;
        // "500-0" does not parse. The conformance tests of the specification expect 416 for it, not the whole.
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
