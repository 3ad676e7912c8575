using System.Text.RegularExpressions;

namespace Mirror.Configuration.Reading;

/// <summary>Keeps secrets out of printed text.</summary>
internal static partial class Secrets
{
    private const string Masked = "***";

    /// <summary>The value with three stars in place of a secret, or in place of the credentials in a URL.</summary>
    /// <param name="key">The row of the key. Null: the user chose the name.</param>
    public static string Mask(KnownKey? key, string name, string value)
    {
        // Whether something may be done is no secret, whatever its name.
        var isSwitch = key?.Rule == ValueRules.TrueOrFalse;
        if (value is not "" && (key is { IsSecret: true } || !isSwitch && NameOfSecret().IsMatch(name)))
            return Masked;
        return UserInfo().Replace(value, $"{Masked}@");
    }

    // Rows mark their secret values; this covers the names that users choose, and rows without the mark.
    [GeneratedRegex(
        "password|secret|passphrase|authorization|cookie|credential|(?:^|[-_])token$|"
            + "(?:access|account|private|api|signing|license)[-_]?key(?!file)|^keyid$",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NameOfSecret();

    // A password with a slash in it, which should be written as %2F, is one all the same. What follows a port is none.
    [GeneratedRegex(
        "(?<=^(?!https?:)[a-z][a-z0-9+.-]*://).*@|(?<=^https?://)[^/?#:@]*:(?![0-9]+(?:[/?#]|$)).*@|(?<=^https?://)[^/?#]*@",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex UserInfo();
}
