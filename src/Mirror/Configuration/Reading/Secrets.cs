using System.Text.RegularExpressions;

namespace Mirror.Configuration.Reading;

/// <summary>Keeps secrets out of whatever is printed.</summary>
internal static partial class Secrets
{
    private const string Masked = "***";

    /// <summary>The value as it may be shown: three stars for a secret, and in place of the credentials in a URL.</summary>
    /// <param name="key">The key's row; null where the name is the user's own.</param>
    public static string Mask(KnownKey? key, string name, string value)
    {
        if (value is not "" && (key is { IsSecret: true } || NameOfSecret().IsMatch(name)))
            return Masked;
        return UserInfo().Replace(value, $"{Masked}@");
    }

    // The rows of the table say which of their values are secret; this is for names that users choose, and for rows that forgot.
    [GeneratedRegex(
        @"password|secret|passphrase|authorization|cookie|credential|(?:^|[-_])token$|(?:access|account|private|api|signing)[-_]?key(?!file)|^keyid$",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NameOfSecret();

    [GeneratedRegex(@"(?<=^[a-z][a-z0-9+.-]*://)[^/?#]*@", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex UserInfo();
}
