using System.Text.RegularExpressions;
using Microsoft.Net.Http.Headers;

namespace Mirror.Registry;

/// <summary>A part of a blob that a client asks for (RFC 9110, 14).</summary>
/// <param name="From">The first byte.</param>
/// <param name="End">The byte after the last one.</param>
internal readonly partial record struct ByteRange(long From, long End)
{
    /// <summary>How many parts one answer has at most, except for podman and its like. A request for more gets the whole.</summary>
    public const int MaxCount = 16;

    // The library containers/image of podman and others expects one part for each range, also where ranges touch, and asks for so many at
    // most. If it gets another number of parts, it downloads the whole layer once more.
    private const int MaxCountOfPodman = 1024;

    // No content is so long. It stands for every number of as many digits, also for those that are no 64-bit number (RFC 9110, 14.1.2).
    private const string AfterEveryEnd = "1000000000000000000";

    // The names under which programs with that library ask.
    private static readonly string[] LikePodman = ["containers/", "libpod/", "podman/", "buildah/", "skopeo/", "cri-o/"];

    /// <summary>
    /// The requested parts in the order of the request, those that touch or overlap as one, except for podman and its like. None: the
    /// request cannot be satisfied (416). Null: the whole, also for units other than bytes, for more than 16 parts (podman: 1,024), and for
    /// ranges that together are longer than the whole.
    /// </summary>
    /// <param name="length">The length of the whole in bytes.</param>
    /// <param name="etag">The whole's ETag, with quotes, for <c>If-Range</c>.</param>
    public static IReadOnlyList<ByteRange>? Of(HttpRequest request, long length, string etag)
    {
        var asked = request.Headers.Range.ToString();
        if (!asked.StartsWith("bytes=", StringComparison.OrdinalIgnoreCase))
            return null;
        // If-Range names the content of which the client already has parts. If this is other content, the client needs the whole.
        if (request.Headers.IfRange is { Count: > 0 } condition && condition != etag)
            return null;
        // "500-0" does not parse. The conformance tests of the specification expect 416 for it, not the whole.
        if (!RangeHeaderValue.TryParse(LargeNumber().Replace(asked, AfterEveryEnd), out var range))
            return [];
        if (range.Ranges.Count > MaxCountOfPodman)
            return null;
        List<ByteRange> parts = [.. range.Ranges.Select(item => Of(item, length)).OfType<ByteRange>()];
        if (parts.Sum(part => part.End - part.From) > length)
            return null;
        if (IsLikePodman(request.Headers.UserAgent.ToString()))
            return parts;
        List<ByteRange> joined = [];
        foreach (var part in parts)
            Join(joined, part);
        return joined.Count > MaxCount ? null : joined;
    }

    [GeneratedRegex("[1-9][0-9]{18,}", RegexOptions.CultureInvariant)]
    private static partial Regex LargeNumber();

    private static bool IsLikePodman(string agent) =>
        Array.Exists(LikePodman, name => agent.Contains(name, StringComparison.OrdinalIgnoreCase));

    // The joined part takes the place of the first of its parts.
    private static void Join(List<ByteRange> parts, ByteRange part)
    {
        var place = parts.Count;
        for (var i = parts.Count - 1; i >= 0; i--)
            if (part.From <= parts[i].End && parts[i].From <= part.End)
            {
                part = new(Math.Min(part.From, parts[i].From), Math.Max(part.End, parts[i].End));
                parts.RemoveAt(i);
                place = i;
            }
        parts.Insert(place, part);
    }

    // Null where the blob has no such byte.
    private static ByteRange? Of(RangeItemHeaderValue item, long length) => (item.From, item.To) switch
    {
        ({ } from, var to) when from < length => new(from, Math.Min(to ?? long.MaxValue, length - 1) + 1),
        (null, > 0 and var suffix) when length > 0 => new(length - Math.Min(suffix, length), length),
        _ => null,
    };
}
