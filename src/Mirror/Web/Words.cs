using System.Globalization;
using Mirror.Upstream;

namespace Mirror.Web;

/// <summary>Numbers and times as pages write them.</summary>
internal static class Words
{
    /// <summary>A number of bytes.</summary>
    public static string Size(long bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        var (value, unit) = ((double)bytes, 0);
        for (; value >= 1000 && unit < units.Length - 1; unit++)
            value /= 1024;
        return unit == 0 ? $"{bytes} B" : string.Create(CultureInfo.InvariantCulture, $"{value:0.0} {units[unit]}");
    }

    public static string Count(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>A number of things, with their name.</summary>
    public static string Count(long count, string one, string many) => $"{Count(count)} {(count == 1 ? one : many)}";

    public static string Time(DateTimeOffset? time) =>
        time is { } known ? known.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) : "never";

    public static string Share(long part, long whole) =>
        whole == 0 ? "–" : string.Create(CultureInfo.InvariantCulture, $"{100.0 * part / whole:0.0} %");

    /// <summary>How many pulls of an account are left, and when all are allowed again, as far as upstream told.</summary>
    public static string PullsLeft(Account account) =>
        (account.Remaining is { } left ? $"{Count(left)} of {Count(account.Limit ?? 0)} pulls are left"
            : account.Limit is { } all ? $"all {Count(all)} pulls are left"
            : "no limit was told")
        + (account.RenewedBy is { } renewed ? $"; all again by {Time(renewed)}" : "");

    /// <summary>The first characters of a digest, enough to tell it from others on a page.</summary>
    public static string Short(string digest) =>
        digest.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon && digest.Length > colon + 13 ? digest[..(colon + 13)] : digest;

    /// <summary>A text that a client, an upstream or a publisher chose, cut where it is long.</summary>
    public static string Cut(string? text, int most = 300) => text is null ? "" : text.Length > most ? $"{text[..most]}…" : text;
}
