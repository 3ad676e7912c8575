using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Registry;

/// <summary>
/// The part of a blob that a request brings: <c>Content-Range: start-end</c>, without a unit (OCI distribution-spec 1.1.1, "Pushing a blob in
/// chunks").
/// </summary>
internal static partial class ContentRange
{
    /// <summary>How many bytes the request says it brings; as many as come where it does not say.</summary>
    /// <param name="offset">Where the next byte belongs.</param>
    /// <exception cref="RegistryException">It brings others than the next ones, or its length contradicts itself.</exception>
    public static long? Length(HttpRequest request, long offset)
    {
        if (request.Headers.ContentRange is not { Count: > 0 } said)
            return null;
        var match = Grammar().Match(said.ToString());
        if (!match.Success || !TryParse(match.Groups["start"].Value, out var start) || !TryParse(match.Groups["end"].Value, out var end) || end < start)
            throw new RegistryException(RegistryError.RangeInvalid, "a chunk's Content-Range is start-end, both inclusive");
        if (start != offset)
            throw new RegistryException(RegistryError.RangeInvalid, $"the next chunk begins at byte {offset}");
        if (request.ContentLength is { } length && length != end - start + 1)
            throw new RegistryException(RegistryError.SizeInvalid, $"a chunk of {end - start + 1} bytes was announced, and a body of {length}");
        return end - start + 1;
    }

    private static bool TryParse(string digits, out long number) => long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < long.MaxValue;

    // Some clients write a unit, and some the total behind a slash, as RFC 9110 has it.
    [GeneratedRegex(@"\A(?:bytes[ =])?(?<start>[0-9]{1,19})-(?<end>[0-9]{1,19})(?:/(?:[0-9]{1,19}|\*))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Grammar();
}
