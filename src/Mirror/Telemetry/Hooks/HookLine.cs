using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Telemetry.Hooks;

/// <summary>A line of the log that leaves the machine. Its texts are bounded, and have no query and no user of a URL: a query may sign a
/// request.</summary>
internal sealed partial record HookLine
{
    private const int MaxText = 2000;
    private const int MaxFields = 50;

    private static readonly char[] Spaces = [' ', '\t', '\r', '\n'];

    public HookLine(DateTimeOffset time, LogLevel level, string message, IEnumerable<KeyValuePair<string, object>> fields)
    {
        (Time, Level, Message) = (time, level, Harmless(message));
        Fields = [.. fields.Take(MaxFields).Select(
            field => KeyValuePair.Create(field.Key, Harmless(Convert.ToString(field.Value, CultureInfo.InvariantCulture) ?? "")))];
    }

    public DateTimeOffset Time { get; }

    public LogLevel Level { get; }

    public string Message { get; }

    public IReadOnlyList<KeyValuePair<string, string>> Fields { get; }

    /// <summary>What was thrown; null if nothing was.</summary>
    public Exception? Exception { get; init; }

    /// <summary>A text without secrets, and not longer than a line may be.</summary>
    public static string Harmless(string text)
    {
        // A cut inside a URL would hide that it has a user: what is cut off ends at a space.
        var bounded = text.Length > 2 * MaxText ? text[..Math.Max(text.LastIndexOfAny(Spaces, 2 * MaxText), 0)] : text;
        var harmless = Query().Replace(UserInfo().Replace(bounded, "://"), "?...");
        return harmless.Length > MaxText || bounded.Length < text.Length
            ? $"{harmless[..Math.Min(harmless.Length, MaxText)]}..."
            : harmless;
    }

    // A query that follows a path or a host.
    [GeneratedRegex(@"(?<=[/\w])\?[\w.%+~-]+=[^\s""'<>]*", RegexOptions.CultureInvariant)]
    private static partial Regex Query();

    // A password may have a slash or a question mark.
    [GeneratedRegex(@"://[^\s""'<>@]*@", RegexOptions.CultureInvariant)]
    private static partial Regex UserInfo();
}
