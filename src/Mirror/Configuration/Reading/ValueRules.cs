using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Configuration.Reading;

/// <summary>The rules that values follow; each is named once here and used throughout the table of known keys.</summary>
internal static partial class ValueRules
{
    public static readonly ValueRule Text = new("text", text => text);

    // YAML 1.1's spellings, because the registry's own parser takes them.
    public static readonly ValueRule TrueOrFalse = new("true or false", text => text.ToUpperInvariant() switch
    {
        "TRUE" or "YES" or "ON" or "Y" => "true",
        "FALSE" or "NO" or "OFF" or "N" => "false",
        _ => null,
    });

    public static readonly ValueRule Duration = new(
        "a duration such as 10m, 1h30m or 500ms, or whole seconds, and not negative",
        text => GoDuration.TryParse(text, out var duration) && duration >= TimeSpan.Zero ? duration.ToString("c", CultureInfo.InvariantCulture) : null);

    public static readonly ValueRule Interval = new(
        "a duration such as 10m or 24h, of a second or more",
        text => GoDuration.TryParse(text, out var interval) && interval >= TimeSpan.FromSeconds(1) ? interval.ToString("c", CultureInfo.InvariantCulture) : null);

    public static readonly ValueRule UpToADay = new(
        "a duration such as 500ms or 10s, 24h at most",
        text => GoDuration.TryParse(text, out var duration) && duration >= TimeSpan.Zero && duration <= TimeSpan.FromDays(1) ? duration.ToString("c", CultureInfo.InvariantCulture) : null);

    public static readonly ValueRule AttemptTimeout = new(
        "a duration from 10ms to 24h, such as 500ms or 1s",
        text => GoDuration.TryParse(text, out var timeout) && timeout >= TimeSpan.FromMilliseconds(10) && timeout <= TimeSpan.FromDays(1) ? timeout.ToString("c", CultureInfo.InvariantCulture) : null);

    public static readonly ValueRule LongerThanZero = new(
        "a duration such as 10m, 1h30m or 500ms, or whole seconds, longer than zero",
        text => GoDuration.TryParse(text, out var duration) && duration > TimeSpan.Zero ? duration.ToString("c", CultureInfo.InvariantCulture) : null);

    public static readonly ValueRule Level = new("error, warn, info or debug", text => text.ToUpperInvariant() switch
    {
        "PANIC" or "FATAL" => nameof(LogLevel.Critical),
        "ERROR" => nameof(LogLevel.Error),
        "WARN" or "WARNING" => nameof(LogLevel.Warning),
        "INFO" => nameof(LogLevel.Information),
        "DEBUG" => nameof(LogLevel.Debug),
        "TRACE" => nameof(LogLevel.Trace),
        _ => null,
    });

    public static readonly ValueRule Formatter = new("text, json or logstash", text => text switch
    {
        "text" => nameof(LogFormatter.Text),
        "json" => nameof(LogFormatter.Json),
        "logstash" => nameof(LogFormatter.Logstash),
        _ => null,
    });

    public static readonly ValueRule MinimumTls = new("tls1.0 and tls1.1 (which mean tls1.2), tls1.2 or tls1.3", text => text switch
    {
        "tls1.0" or "tls1.1" or "tls1.2" => nameof(TlsVersion.Tls12),
        "tls1.3" => nameof(TlsVersion.Tls13),
        _ => null,
    });

    // The other words of registry:3 let any certificate pass, or none: they are refused rather than taken for more than they are.
    public static readonly ValueRule ClientAuth = new("require-and-verify-client-cert or verify-client-cert-if-given", text => text switch
    {
        "require-and-verify-client-cert" => nameof(Configuration.ClientAuth.RequireAndVerify),
        "verify-client-cert-if-given" => nameof(Configuration.ClientAuth.VerifyIfGiven),
        _ => null,
    });

    public static readonly ValueRule Address = new(
        "host:port or :port, with a port from 0 to 65535",
        text => ListenAddress.TryParse(text, out var address) ? address.ToString() : null);

    public static readonly ValueRule HostAndPort = new(
        "host:port",
        text => ListenAddress.TryParse(text, out var address) && address is { Host.Length: > 0, Port: > 0 } ? text : null);

    public static readonly ValueRule Upstream = new(
        "an http or https URL without user info, query or fragment",
        text => PlainUrl(text) is { } url ? DockerHub.Is(url) ? DockerHub.Registry.OriginalString : text : null);

    public static readonly ValueRule PublicUrl = new(
        "an http or https URL without user info, query or fragment",
        text => PlainUrl(text) is null ? null : text.TrimEnd('/'));

    public static readonly ValueRule EndpointUrl = new(
        "an http or https URL",
        text => Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.Host is not "" ? text : null);

    public static readonly ValueRule UrlPath = new(
        "a path that begins with a slash, without query or fragment",
        text => PathGrammar().IsMatch(text) ? text : null);

    public static readonly ValueRule UrlPrefix = new(
        "a path that begins and ends with a slash, without query or fragment",
        text => PathGrammar().IsMatch(text) ? text.TrimEnd('/') + "/" : null);

    public static readonly ValueRule RepositoryPattern = new(
        "a repository name in which * stands for anything within a component and ** for any number of components",
        text => PatternGrammar().IsMatch(text) ? text : null);

    public static readonly ValueRule TagPattern = new(
        "a tag in which * stands for anything",
        text => TagPatternGrammar().IsMatch(text) ? text : null);

    public static readonly ValueRule UpstreamName = new(
        "a host name without a port, such as ghcr.io",
        text => UpstreamNameGrammar().IsMatch(text) ? text : null);

    public static readonly ValueRule HostName = new(
        "a host name, with :port where it is not the scheme's own",
        text => Uri.TryCreate($"https://{text}/", UriKind.Absolute, out var url) && url.UserInfo is "" && url.AbsolutePath is "/" ? text : null);

    public static readonly ValueRule StoreEndpoint = new(
        "an http or https URL without path or user info, or host:port",
        text => PlainUrl(text.Contains("://", StringComparison.Ordinal) ? text : $"https://{text}") is { AbsolutePath: "/" } ? text.TrimEnd('/') : null);

    public static readonly ValueRule HeaderValue = new("one line of text", text => text.AsSpan().ContainsAny('\r', '\n', '\0') ? null : text);

    public static readonly ValueRule Platforms = new("all, none or list", text => text switch
    {
        "all" => nameof(RequiredPlatforms.All),
        "none" => nameof(RequiredPlatforms.None),
        "list" => nameof(RequiredPlatforms.List),
        _ => null,
    });

    // What matches in time that grows with the text only, whatever the expression: it is held against what clients send.
    public static readonly ValueRule Pattern = new("a regular expression without backreferences and lookarounds", text =>
    {
        try
        {
            _ = new Regex(text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            return text;
        }
        catch (Exception bad) when (bad is ArgumentException or NotSupportedException)
        {
            return null;
        }
    });

    public static ValueRule Integer(int min = int.MinValue, int max = int.MaxValue) => new(
        (min, max) switch
        {
            (int.MinValue, _) => "a whole number",
            (_, int.MaxValue) => $"a whole number, {min} or more",
            _ => $"a whole number from {min} to {max}",
        },
        text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number.ToString(CultureInfo.InvariantCulture)
            : null);

    /// <param name="min">In bytes.</param>
    public static ValueRule Size(long min) => new(
        $"a number of bytes, {min} or more, or of KiB, MiB, GiB or TiB, such as 10GiB",
        text => SizeGrammar().Match(text) is { Success: true } match
            && long.TryParse(match.Groups["number"].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && "KMGT".IndexOf(match.Groups["unit"].Value, StringComparison.OrdinalIgnoreCase) is var unit
            && (match.Groups["unit"].Length == 0 ? 0 : 10 * (unit + 1)) is var shift
            && number <= long.MaxValue >> shift && number << shift >= min
            ? (number << shift).ToString(CultureInfo.InvariantCulture)
            : null);

    public static ValueRule OneOf(params string[] values) => new(string.Join(" or ", values), text => values.Contains(text) ? text : null);

    private static Uri? PlainUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.Host is not ""
            && url.UserInfo is "" && !text.AsSpan().ContainsAny('?', '#')
            ? url
            : null;

    [GeneratedRegex(@"\A/[^\s?#]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex PathGrammar();

    [GeneratedRegex(@"\A(?<number>[0-9]+)\s*(?:(?<unit>[KMGTkmgt])(?:i?[Bb])?)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex SizeGrammar();

    [GeneratedRegex(@"\A[A-Za-z0-9_*][A-Za-z0-9_.*-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex TagPatternGrammar();

    [GeneratedRegex(@"\A[a-z0-9]+(?:[.-][a-z0-9]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex UpstreamNameGrammar();

    [GeneratedRegex(@"\A[a-z0-9*._-]+(?:/[a-z0-9*._-]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex PatternGrammar();
}
