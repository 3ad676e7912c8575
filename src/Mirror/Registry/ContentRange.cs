using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Registry;

/// <summary>
/// The <c>Content-Range</c> of a chunk: <c>start-end</c>, both inclusive, without a unit (OCI distribution-spec 1.1.1, "Pushing a blob in
/// chunks").
/// </summary>
internal static partial class ContentRange
{
    /// <summary>The announced length of a chunk in bytes; null where the request has no <c>Content-Range</c>.</summary>
    /// <param name="offset">How many bytes the upload has.</param>
    /// <exception cref="RegistryException">The chunk is not the next one, or the two lengths in the headers differ.</exception>
    public static long? Length(HttpRequest request, long offset)
    {
        if (request.Headers.ContentRange.ToString() is not { Length: > 0 } header)
            return null;
        var match = Grammar().Match(header);
        if (!match.Success || !TryParse(match.Groups["start"], out var start) || !TryParse(match.Groups["end"], out var end) || end < start)
            throw new RegistryException(RegistryError.RangeInvalid, "a chunk's Content-Range is start-end, both inclusive");
        if (start != offset)
            throw new RegistryException(RegistryError.RangeInvalid, $"the next chunk begins at byte {offset}");
        if (request.ContentLength is { } length && length != end - start + 1)
            throw new RegistryException(
                RegistryError.SizeInvalid, $"Content-Range announces {end - start + 1} bytes, but Content-Length {length}");
        return end - start + 1;
    }

    private static bool TryParse(Group digits, out long number) =>
        long.TryParse(digits.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < long.MaxValue;

    // Some clients write a unit, or a slash and the total at the end, as in RFC 9110.
    [GeneratedRegex(@"\A(?:bytes[ =])?(?<start>[0-9]{1,19})-(?<end>[0-9]{1,19})(?:/(?:[0-9]{1,19}|\*))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Grammar();
}
