using System.Net;
using System.Text;
using System.Text.Json;
using System.Xml;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>What the status and the headers of an upstream's answer mean, for answers as registries and stores really send them.</summary>
internal static class UpstreamAnswers
{
    // By then an error body has shown what it is.
    public const int MaxErrorStart = 1024;

    /// <summary>How much of an error body is read for its messages.</summary>
    public const int MaxErrorBody = 16 * 1024;

    private const int MaxMessage = 500;

    private static readonly XmlReaderSettings AnyXml = new() { DtdProcessing = DtdProcessing.Ignore, XmlResolver = null };

    /// <summary>Whether a GET may succeed where this HEAD failed. Caches in front of a registry answer 304 to a HEAD without a
    /// condition. A limit (429) counts: upstream means the client, and a GET may cost a pull.</summary>
    public static bool MustRetryAsGet(HttpResponseMessage head) => !head.IsSuccessStatusCode && (int)head.StatusCode is not 429;

    /// <summary>Whether the host failed to answer the request. After a HEAD with 408 or 5xx a GET follows, and decides.</summary>
    public static bool IsFailure(HttpResponseMessage response) =>
        (int)response.StatusCode is 408 or >= 500 and not 501 && !IsFailedHead(response);

    /// <summary>Whether this is the 408 or 5xx of a HEAD, which some registries and stores answer although they answer GET.</summary>
    public static bool IsFailedHead(HttpResponseMessage response) =>
        (int)response.StatusCode is 408 or >= 500 && response.RequestMessage?.Method == HttpMethod.Head;

    /// <summary>Whether the answer says that there is no such content.</summary>
    public static bool IsMissing(HttpResponseMessage response) => response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Gone;

    /// <summary>Whether a rule of upstream refuses this content to every client: 402, 412 (Harbor's scan policy), 423 or 451.</summary>
    public static bool RefusesContent(HttpResponseMessage response) => (int)response.StatusCode is 402 or 412 or 423 or 451;

    /// <summary>The messages in an error body of a registry; null if it has none.</summary>
    public static string? ErrorMessage(byte[] body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("errors", out var errors)
                || errors.ValueKind != JsonValueKind.Array)
                return null;
            var text = string.Join("; ", errors.EnumerateArray()
                .Select(error => error.ValueKind == JsonValueKind.Object && error.TryGetProperty("message", out var message)
                    && message.ValueKind == JsonValueKind.String ? message.GetString() : null)
                .Where(message => !string.IsNullOrWhiteSpace(message)));
            return text.Length > MaxMessage ? $"{text[..MaxMessage]}..." : text is "" ? null : text;
        }
        // The second one: half a surrogate pair, or bytes that are no UTF-8.
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether an answer with status 200 to a request for referrers has no list: an empty body, or a JSON object without one.
    /// </summary>
    public static bool HasNoList(byte[] body) => IsBlank(body) || ManifestDocument.Read(body) is { IsIndex: false };

    /// <summary>Whether a body has white space at most.</summary>
    public static bool IsBlank(byte[] body) => !body.AsSpan().ContainsAnyExcept(" \t\r\n"u8);

    /// <summary>Whether the answer has content, or a part of it, and is no HTML page, such as that of a login.</summary>
    /// <param name="expected">The length in bytes that the content should have. With this length it is content, whatever its label
    /// says.</param>
    public static bool IsContent(HttpResponseMessage response, long? expected) =>
        // 203 is the 200 of a proxy that changed something, such as a header (RFC 9110, 15.3.4).
        response.StatusCode is HttpStatusCode.OK or HttpStatusCode.NonAuthoritativeInformation or HttpStatusCode.PartialContent
        && (!IsWebPage(response) || expected is not null && LengthOf(response) == expected);

    /// <summary>The length in bytes of the whole content; null if the answer does not tell it.</summary>
    public static long? LengthOf(HttpResponseMessage response) =>
        response.Content.Headers.ContentRange is { } range ? range.Length : response.Content.Headers.ContentLength;

    /// <summary>
    /// Whether the answer to a request for referrers shows that upstream does not have the referrers API. Each of these was seen from
    /// registries that do not have it; some send an HTML page with status 200.
    /// </summary>
    public static bool LacksReferrers(HttpResponseMessage response) =>
        (int)response.StatusCode is 400 or 404 or 405 or 406 or 410 or 501 || response.IsSuccessStatusCode && IsWebPage(response);

    /// <summary>
    /// Whether the answer is labelled as an HTML page, which content hardly ever is. A server that sends a login page in the place of
    /// content does not answer ranges: a part (206) is content, whatever its label says.
    /// </summary>
    public static bool IsWebPage(HttpResponseMessage response) =>
        response.StatusCode != HttpStatusCode.PartialContent && TypeOf(response) is "text/html";

    /// <summary>The media type of the body, in lower case; empty where the answer names none.</summary>
    public static string TypeOf(HttpResponseMessage response) => MediaTypes.Of(response.Content.Headers.ContentType?.MediaType ?? "");

    /// <summary>Whether a name in the header <c>Content-Encoding</c> says that the body is not compressed.</summary>
    public static bool IsIdentity(string coding) => coding.Equals("identity", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// The announced length in bytes; null where it cannot be correct. Only the empty content has length 0, and some registries tell
    /// this length for all content.
    /// </summary>
    public static long? PlausibleLength(long? length, Digest digest) =>
        length is 0 && digest != Digest.Of([], digest.Algorithm) ? null : length;

    /// <summary>
    /// Whether a request without a range may succeed where this answer to a request for a range is of no use: it refuses the range, or has
    /// another one. Each of these errors was seen from registries, CDNs and proxies that do not support <c>Range</c>. An error that also
    /// has another meaning, such as a limit, says nothing of the range.
    /// </summary>
    public static bool MustRetryWithoutRange(HttpResponseMessage response, long from) => (int)response.StatusCode switch
    {
        206 => response.Content.Headers.ContentRange?.From != from,
        // A part with the wrong status, or nothing.
        200 or 203 => from > 0 && (response.Content.Headers.ContentRange is not null || response.Content.Headers.ContentLength is 0),
        204 => true,
        401 or 403 or 404 or 408 or 410 or 429 => false,
        (>= 400 and < 500) or 501 => true,
        _ => false,
    };

    /// <summary>Whether an answer to a request for a range can have no other reason than the range.</summary>
    public static bool RefusesRanges(HttpResponseMessage response) => (int)response.StatusCode is 204 or 206 or 405 or 416 or 501;

    /// <summary>
    /// Whether a body that begins so is an error of a registry (JSON) or of a store (XML or JSON). Stores write names in upper and lower
    /// case, and some put the XML into a namespace.
    /// </summary>
    public static bool IsRegistryError(ReadOnlySpan<byte> start)
    {
        // Azure sends a byte order mark.
        var text = Encoding.UTF8.GetString(start).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        return text.StartsWith('{') ? Has("\"errors\"") || Has("\"code\"") : text.StartsWith('<') && IsXmlError(text);

        bool Has(string name) => text.Contains(name, StringComparison.OrdinalIgnoreCase);
    }

    // The root element decides. It is complete, even if the text is cut.
    private static bool IsXmlError(string text)
    {
        try
        {
            using var xml = XmlReader.Create(new StringReader(text), AnyXml);
            return xml.MoveToContent() == XmlNodeType.Element && xml.LocalName.Equals("Error", StringComparison.OrdinalIgnoreCase);
        }
        catch (XmlException)
        {
            return false;
        }
    }

    /// <summary>
    /// The digest of a manifest: the requested one, or else the one in the header; null if the header has none, or another one than was
    /// requested.
    /// </summary>
    public static Digest? DigestIn(HttpResponseMessage response, Reference reference)
    {
        Digest? told = response.Headers.TryGetValues("Docker-Content-Digest", out var values)
            && Digest.TryParse(values.First(), out var digest) ? digest : null;
        return reference.IsTag(out _, out var named) ? told
            : told is null || told == named ? named
            : null;
    }

    /// <summary>
    /// Whether the answer is from the cache of a mirror such as this one, which could not ask its own upstream. Only our own word counts:
    /// the <c>X-Cache</c> of a CDN says nothing of the registry behind it.
    /// </summary>
    public static bool SaysStale(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("X-Cache", out var values) && values.Count == 1
        && values.First() == CacheStatus.Stale.Label;

    /// <summary>Whether a media type is that of a manifest or of an index.</summary>
    public static bool IsManifestType(string type) => type.Length <= 255
        && (type.Contains("manifest", StringComparison.Ordinal) || type.Contains("index", StringComparison.Ordinal));
}
