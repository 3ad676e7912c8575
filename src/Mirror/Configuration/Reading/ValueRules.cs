using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Configuration.Reading;

/// <summary>The texts that a value may have.</summary>
/// <param name="Allowed">The end of an error message: what is allowed.</param>
/// <param name="Canonical">The spelling that the binder gets for a text, or null if the text is not allowed.</param>
internal sealed record ValueRule(string Allowed, Func<string, string?> Canonical);

/// <summary>The rules for values. The table of known keys uses them by name.</summary>
internal static partial class ValueRules
{
    private static readonly string[] OfTheServer = ["Content-Length", "Transfer-Encoding", "Connection"];

    public static readonly ValueRule Text = new("text", text => text);

    // The words of YAML 1.1, and those of Go, which the registry reads in the sections of its stores.
    public static readonly ValueRule TrueOrFalse = new("true or false", text => text.ToUpperInvariant() switch
    {
        "TRUE" or "YES" or "ON" or "Y" or "T" or "1" => "true",
        "FALSE" or "NO" or "OFF" or "N" or "F" or "0" => "false",
        _ => null,
    });

    public static readonly ValueRule Level = WordFor<LogLevel>("error, warn, info or debug", StringComparison.OrdinalIgnoreCase);

    public static readonly ValueRule Formatter = WordFor<LogFormatter>("text, json or logstash");

    public static readonly ValueRule MinimumTls = WordFor<TlsVersion>("tls1.0 and tls1.1 (which mean tls1.2), tls1.2 or tls1.3");

    public static readonly ValueRule AzureCredentials = WordFor<AzureCredentialType>("shared_key, client_secret or default_credentials");

    public static readonly ValueRule OpenStackEndpoint = WordFor<OpenStackEndpointType>("public, internal or admin");

    public static readonly ValueRule ClientAuth = WordFor<ClientAuth>(
        "require-and-verify-client-cert, verify-client-cert-if-given, require-any-client-cert or request-client-cert");

    public static readonly ValueRule PrivateImages = WordFor<PrivateImages>("account, client or off");

    public static readonly ValueRule Complete = WordFor<CompleteImages>("off, linked or images");

    // As in registry:2, blanks and case do not matter.
    public static readonly ValueRule IpFilter = new(
        "none, aws or awsregion",
        text => text.Trim() is { Length: > 0 } word ? WordFor<AwsClients>("", StringComparison.OrdinalIgnoreCase).Canonical(word) : "None");

    public static readonly ValueRule NewTags = WordFor<NewTags>("serve or hold");

    public static readonly ValueRule Platforms = WordFor<RequiredPlatforms>("all, none or list", StringComparison.OrdinalIgnoreCase);

    public static readonly ValueRule CipherSuite = OneOf(CipherSuites.Names) with
    {
        Allowed = "a cipher suite by its name of IANA, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    };

    public static readonly ValueRule Address = new(
        "host:port or :port, with a port from 0 to 65535",
        text => ListenAddress.TryParse(text, out var address) ? address.ToString() : null);

    public static readonly ValueRule AddressOrSocket = new(
        "host:port or :port, with a port from 0 to 65535; with net: unix the path of a socket",
        text => text.Contains('/', StringComparison.Ordinal) ? text : Address.Canonical(text));

    public static readonly ValueRule ListenNetwork = WordFor<ListenNetwork>("tcp or unix");

    public static readonly ValueRule HostAndPort = new(
        "host:port",
        // To Go, no host means this machine.
        text => !ListenAddress.TryParse(text, out var address) || address.Port is 0 ? null
            : address.Host.Length > 0 ? text : $"localhost:{address.Port}");

    public static readonly ValueRule Network = new(
        "an address, or a network such as 10.0.0.0/8, of which only the first bits may be set",
        text => IPAddress.TryParse(text, out _) || IPNetwork.TryParse(text, out _) ? text : null);

    public static readonly ValueRule Upstream = new(
        "an http or https URL without user info, query or fragment",
        text => PlainUrl(text) is { } url ? DockerHub.Is(url) ? DockerHub.Registry.OriginalString : text : null);

    public static readonly ValueRule PublicUrl = new(
        "an http or https URL without user info, query or fragment",
        text => PlainUrl(text) is { } url ? HeaderText.Of(url).TrimEnd('/') : null);

    public static readonly ValueRule PublicOrLocalUrl = new(
        "an https URL, or an http URL of this machine, without user info, query or fragment",
        text => PlainUrl(text) is { } url && (url.Scheme == Uri.UriSchemeHttps || url.IsLoopback) ? text : null);

    public static readonly ValueRule EndpointUrl = new("an http or https URL", text => HttpUrl(text) is null ? null : text);

    public static readonly ValueRule UrlPath = Matching("a path that begins with a slash, without query or fragment", PathGrammar());

    public static readonly ValueRule UrlPrefix = new(
        "a path that begins and ends with a slash, without query or fragment",
        text => PathGrammar().IsMatch(text) ? text.TrimEnd('/') + "/" : null);

    public static readonly ValueRule RepositoryPattern = Matching(
        "a repository name in which * stands for anything within a component and ** for any number of components", PatternGrammar());

    public static readonly ValueRule TagPattern = Matching("a tag in which * stands for anything", TagPatternGrammar());

    public static readonly ValueRule UpstreamName = Matching("a host name, with or without a port, such as ghcr.io", UpstreamNameGrammar());

    public static readonly ValueRule HostName = new(
        "a host name, with :port where it is not the scheme's own",
        text => HttpUrl($"https://{text}/") is { UserInfo: "", AbsolutePath: "/" } ? text : null);

    // A name without a dot is told apart by CrossKeyRules, which says more about it.
    public static readonly ValueRule CertificateName = new(
        "the name of a host, such as registry.example.org; authorities give no certificates for addresses, and none for *.example.org here",
        text => Uri.CheckHostName(text) is UriHostNameType.Dns && !text.EndsWith('.') && !IPAddress.TryParse(text, out _) ? InAscii(text)
            : null);

    public static readonly ValueRule MailAddress = new(
        "an address of mail, such as admin@example.org",
        text => System.Net.Mail.MailAddress.TryCreate(text, out var address) && address.Address == text ? text : null);

    public static readonly ValueRule StoreEndpoint = new(
        "an http or https URL without path or user info, or host:port",
        text => PlainUrl(text.Contains("://", StringComparison.Ordinal) ? text : $"https://{text}") is { AbsolutePath: "/" }
            ? text.TrimEnd('/')
            : null);

    // Swift takes what follows a slash for the name of an object.
    public static readonly ValueRule Container = new(
        "the name of a container, which has no slash", WithoutSlash);

    // AWS's library would move what follows a slash into the path of an address, and sign it in another way than a store.
    public static readonly ValueRule Bucket = new(
        "the name of a bucket, which has no slash; a folder in it is rootdirectory", WithoutSlash);

    // In an address they would be resolved, and in a list not.
    public static readonly ValueRule PlainFolder = new(
        "a folder whose path has no parts . and ..", WithoutDots);

    // Azure stores a backslash as a slash, and does not find it in a list.
    public static readonly ValueRule AzureFolder = new(
        "a folder whose path has no parts . and .., and no backslash, which Azure takes for a slash",
        text => text.Contains('\\', StringComparison.Ordinal) ? null : WithoutDots(text));

    // The host alone is for CloudFront, as in registry:2. Clients get the address, and a signature covers it, so it is as they send it.
    public static readonly ValueRule BaseUrl = new(
        "an http or https URL without user info, query or fragment",
        text => text.Contains("://", StringComparison.Ordinal) ? SentAs(text) : SentAs($"https://{text.Trim()}")?["https://".Length..]);

    public static readonly ValueRule SearchDatabase = new(
        Configuration.SearchDatabase.Form, text => Configuration.SearchDatabase.TryParse(text, out _) ? text : null);

    public static readonly ValueRule Base64 = new(
        "a key in base64, as the portal of the store shows it",
        text => System.Buffers.Text.Base64.IsValid(text) && text.Length > 0 ? text : null);

    public static readonly ValueRule HeaderValue = new(
        "one line of ASCII text", text => HeaderText.IsValid(text) ? text : null);

    public static readonly ValueRule TokenRealm = new(
        "an http or https URL, or one line of ASCII text",
        text => HeaderText.IsValid(text) ? text : HttpUrl(text) is { } url ? HeaderText.Of(url) : null);

    public static readonly ValueRule HeaderName = Matching("the name of a header", TokenGrammar());

    public static readonly ValueRule AnswerHeaderName = new(
        "the name of a header, but Content-Length, Transfer-Encoding and Connection, which the server sets",
        text => TokenGrammar().IsMatch(text) && !OfTheServer.Contains(text, StringComparer.OrdinalIgnoreCase) ? text : null);

    public static readonly ValueRule Method = Matching("a method of HTTP in capital letters, such as GET", MethodGrammar());

    public static readonly ValueRule Origin = new(
        "*, or the scheme, host and port of a page, such as https://ui.example.org, where * stands for any part of the host",
        text => OriginGrammar().IsMatch(text) ? text.TrimEnd('/') : null);

    // Clients choose the text that is matched. Without backtracking, the time grows only with the length of that text.
    public static readonly ValueRule Pattern = new("a regular expression without backreferences and lookarounds", text =>
    {
        try
        {
            var pattern = GoPattern.Translate(text);
            _ = new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            return pattern;
        }
        catch (Exception bad) when (bad is ArgumentException or NotSupportedException)
        {
            return null;
        }
    });

    public static readonly ValueRule Version4Signatures = new(
        "true; there are no version 2 signatures", text => TrueOrFalse.Canonical(text) is "true" ? "true" : null);

    // The words of the registry's file for the values of our enumerations. The first word of a value is the one that check-config prints.
    private static readonly (string Word, Enum Value)[] Words =
    [
        ("fatal", LogLevel.Critical), ("panic", LogLevel.Critical), ("error", LogLevel.Error), ("warn", LogLevel.Warning),
        ("warning", LogLevel.Warning), ("info", LogLevel.Information), ("debug", LogLevel.Debug), ("trace", LogLevel.Trace),
        ("text", LogFormatter.Text), ("json", LogFormatter.Json), ("logstash", LogFormatter.Logstash),
        ("tls1.2", TlsVersion.Tls12), ("tls1.1", TlsVersion.Tls12), ("tls1.0", TlsVersion.Tls12), ("tls1.3", TlsVersion.Tls13),
        ("require-and-verify-client-cert", Configuration.ClientAuth.RequireAndVerify),
        ("verify-client-cert-if-given", Configuration.ClientAuth.VerifyIfGiven),
        ("require-any-client-cert", Configuration.ClientAuth.RequireAny), ("request-client-cert", Configuration.ClientAuth.Request),
        ("tcp", Configuration.ListenNetwork.Tcp), ("unix", Configuration.ListenNetwork.Unix),
        ("shared_key", AzureCredentialType.SharedKey), ("client_secret", AzureCredentialType.ClientSecret),
        ("default_credentials", AzureCredentialType.DefaultCredentials),
        ("public", OpenStackEndpointType.Public), ("internal", OpenStackEndpointType.Internal), ("admin", OpenStackEndpointType.Admin),
        ("account", Configuration.PrivateImages.Account), ("client", Configuration.PrivateImages.Client),
        ("off", Configuration.PrivateImages.Off),
        ("off", CompleteImages.Off), ("linked", CompleteImages.Linked), ("images", CompleteImages.Images),
        ("serve", Configuration.NewTags.Serve), ("hold", Configuration.NewTags.Hold),
        ("none", AwsClients.None), ("aws", AwsClients.Aws), ("awsregion", AwsClients.AwsRegion),
        ("all", RequiredPlatforms.All), ("none", RequiredPlatforms.None), ("list", RequiredPlatforms.List),
    ];

    /// <summary>The word of the registry's file for a value.</summary>
    public static string WordOf(Enum value) => Array.Find(Words, known => known.Value.Equals(value)).Word;

    public static ValueRule Integer(int min = int.MinValue, int max = int.MaxValue) => new(
        (min, max) switch
        {
            (int.MinValue, _) => "a whole number",
            (_, int.MaxValue) => $"a whole number, {min} or more",
            _ => $"a whole number from {min} to {max}",
        },
        text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            && number >= min && number <= max
            ? number.ToString(CultureInfo.InvariantCulture)
            : null);

    /// <param name="min">In bytes.</param>
    /// <param name="max">In bytes.</param>
    public static ValueRule Size(long min, long max = long.MaxValue) => new(
        max == long.MaxValue
            ? $"a number of bytes, {min} or more, or of KiB, MiB, GiB or TiB, such as 10GiB"
            : $"a number of bytes from {min} to {max}, or of KiB, MiB or GiB, such as 10MiB",
        text => SizeGrammar().Match(text) is { Success: true } match
            && long.TryParse(match.Groups["number"].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && 10 * " KMGT".IndexOf(match.Groups["unit"].Value.PadLeft(1), StringComparison.OrdinalIgnoreCase) is var shift
            && number <= max >> shift && number << shift >= min
            ? (number << shift).ToString(CultureInfo.InvariantCulture)
            : null);

    // Google's sessions take whole units.
    public static readonly ValueRule Units = new(
        "a number of bytes, or of KiB or MiB, that is a multiple of 256 KiB",
        text => Size(min: 256 << 10).Canonical(text) is { } size && long.Parse(size, CultureInfo.InvariantCulture) % (256 << 10) == 0
            ? size
            : null);

    // 0 means the default.
    public static readonly ValueRule Status = new(
        "a status of HTTP from 100 to 599", text => text is "0" ? text : Integer(100, 599).Canonical(text));

    // S3 knows the classes in capital letters only.
    public static readonly ValueRule StorageClass = new("a class of S3, such as STANDARD_IA", text => text.ToUpperInvariant());

    public static ValueRule OneOf(params string[] values) => new(string.Join(" or ", values), text => values.Contains(text) ? text : null);

    private static ValueRule WordFor<T>(string allowed, StringComparison comparison = StringComparison.Ordinal) where T : struct, Enum =>
        new(allowed, text => Array.Find(Words, known => known.Value is T && known.Word.Equals(text, comparison)).Value?.ToString());

    private static ValueRule Matching(string allowed, Regex grammar) => new(allowed, text => grammar.IsMatch(text) ? text : null);

    private static string? SentAs(string text) =>
        PlainUrl(text) is { } url ? new UriBuilder(url) { Host = url.IdnHost }.Uri.AbsoluteUri : null;

    private static string? InAscii(string host)
    {
        try
        {
            return new IdnMapping().GetAscii(host).ToLowerInvariant();
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    private static Uri? HttpUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.Host is not "" ? url : null;

    private static string? WithoutSlash(string text) => text.Contains('/', StringComparison.Ordinal) ? null : text;

    private static string? WithoutDots(string text) => text.Split('/').Any(part => part is "." or "..") ? null : text;

    private static Uri? PlainUrl(string text) =>
        text.AsSpan().ContainsAny('?', '#') || HttpUrl(text) is not { UserInfo: "" } url ? null : url;

    [GeneratedRegex(@"\A/[^\s?#]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex PathGrammar();

    [GeneratedRegex(@"\A(?<number>[0-9]+)\s*(?:(?<unit>[KMGTkmgt])(?:i?[Bb])?)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex SizeGrammar();

    [GeneratedRegex(@"\A[A-Za-z0-9_*][A-Za-z0-9_.*-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex TagPatternGrammar();

    [GeneratedRegex(@"\A[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]{1,5})?\z", RegexOptions.CultureInvariant)]
    private static partial Regex UpstreamNameGrammar();

    [GeneratedRegex(@"\A[A-Za-z0-9!#$%&'*+.^_`|~-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex TokenGrammar();

    [GeneratedRegex(@"\A[A-Z]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex MethodGrammar();

    [GeneratedRegex(@"\A(?:\*|https?://(?:[a-z0-9*._-]+|\[[0-9a-f:.]+\])(?::(?:[0-9]{1,5}|\*))?/?)\z", RegexOptions.CultureInvariant)]
    private static partial Regex OriginGrammar();

    [GeneratedRegex(@"\A[a-z0-9*._-]+(?:/[a-z0-9*._-]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex PatternGrammar();
}
