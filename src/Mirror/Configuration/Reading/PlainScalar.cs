using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Configuration.Reading;

/// <summary>
/// What a text without quotes means in YAML. As for <c>registry:2</c>, which reads its file with Go's yaml.v2: that takes the words of
/// YAML 1.1 for true and false, and the numbers of Go.
/// </summary>
internal static partial class PlainScalar
{
    private static readonly string[] True = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
    private static readonly string[] False = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

    /// <summary>A <c>bool</c>, <c>long</c>, <c>ulong</c> or <c>double</c>, or else the text itself.</summary>
    public static object Of(string text) =>
        True.Contains(text) ? true
        : False.Contains(text) ? false
        : text is not [(>= '0' and <= '9') or '+' or '-' or '.', ..] ? text
        : Number(text.Replace("_", "", StringComparison.Ordinal)) ?? text;

    private static object? Number(string text)
    {
        var (isNegative, digits) = (text[0] is '-', text.TrimStart('+', '-'));
        if (text.Length - digits.Length > 1)
            return null;
        if (Whole(digits) is { } whole)
        {
            if (!isNegative)
                return whole <= long.MaxValue ? (long)whole : whole;
            if (whole <= 1UL << 63)
                return unchecked(-(long)whole);
        }
        return Decimal().IsMatch(text)
            && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : null;
    }

    // As Go's strconv.ParseUint with the base 0; null for what is no such number, or is too large.
    private static ulong? Whole(string digits)
    {
        var (style, radix) = digits switch
        {
            ['0', 'x' or 'X', .. var hex] => (hex, 16u),
            ['0', 'b' or 'B', .. var binary] => (binary, 2u),
            ['0', 'o' or 'O', .. var octal] => (octal, 8u),
            ['0', _, ..] => (digits[1..], 8u),
            _ => (digits, 10u),
        };
        ulong number = 0;
        foreach (var c in style)
        {
            if (!char.IsAsciiHexDigit(c) || Convert.ToUInt32($"{c}", 16) is var digit && digit >= radix
                || number > (ulong.MaxValue - digit) / radix)
                return null;
            number = number * radix + digit;
        }
        return style.Length > 0 ? number : null;
    }

    [GeneratedRegex(@"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")]
    private static partial Regex Decimal();
}
