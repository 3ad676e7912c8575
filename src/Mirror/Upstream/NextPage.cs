using System.Text.RegularExpressions;

namespace Mirror.Upstream;

/// <summary>Finds the next page of a list in upstream's <c>Link</c> header (RFC 8288).</summary>
internal static partial class NextPage
{
    // The patterns below may need time that grows with the square of the header's length.
    private const int MaxLength = 8192;

    /// <summary>
    /// The URL of the next page; null on the last one. It is on the host that gave this page; the host in the header is ignored. A registry
    /// behind a proxy may name its own internal host, and no header may lead to another host.
    /// </summary>
    /// <exception cref="UpstreamUnavailableException">The header cannot be read, so that the list would be taken for complete.</exception>
    public static Uri? Of(HttpResponseMessage response)
    {
        if (!response.Headers.NonValidated.TryGetValues("Link", out var values))
            return null;
        var page = response.RequestMessage!.RequestUri!;
        var header = string.Join(", ", values);
        if (header.Length > MaxLength)
            throw new UpstreamUnavailableException($"{page.Authority} sent a header Link of more than {MaxLength} characters.");
        if (string.IsNullOrWhiteSpace(header))
            return null;
        // Some registries leave the angle brackets out, and some of those the parameters too.
        if (Bare().Match(header) is { Success: true } bare)
            header = $"<{bare.Groups["url"].Value}>{bare.Groups["parameters"].Value}";
        var links = Link().Matches(header);
        if (links.Count == 0)
            throw new UpstreamUnavailableException($"{page.Authority} sent a header Link that is no link.");
        var next = links.FirstOrDefault(link => IsNext(link.Groups["parameters"].Value));
        if (next is null)
            return null;
        return UrlReference.Resolve(page, next.Groups["url"].Value) is { Scheme: "http" or "https" } url
            ? UrlReference.Resolve(page, page.GetLeftPart(UriPartial.Authority) + Before(page, url) + url.PathAndQuery)
            : throw new UpstreamUnavailableException($"{page.Authority} sent a header Link that leads to no URL.");
    }

    // The path that a proxy puts before the registry's own. Such a registry may not know it, and writes Link without it.
    private static string Before(Uri page, Uri next) =>
        next.AbsolutePath.StartsWith("/v2/", StringComparison.Ordinal)
        && page.AbsolutePath.EndsWith(next.AbsolutePath, StringComparison.Ordinal)
            ? page.AbsolutePath[..^next.AbsolutePath.Length] : "";

    // Some registries leave the relation out.
    private static bool IsNext(string parameters) =>
        Relation().Match(parameters) is not { Success: true } relation
        || relation.Groups["name"].Value.Split(' ').Contains("next", StringComparer.OrdinalIgnoreCase);

    [GeneratedRegex("""<(?<url>[^<>]*)>(?<parameters>(?:[^,"<]|"(?:[^"\\]|\\.)*")*)""", RegexOptions.CultureInvariant)]
    private static partial Regex Link();

    [GeneratedRegex("""^\s*(?<url>[^\s<>;"]+)\s*(?<parameters>;[^<>]*)?$""", RegexOptions.CultureInvariant)]
    private static partial Regex Bare();

    [GeneratedRegex(
        """;\s*rel\s*=\s*(?:"(?<name>[^"]*)"|(?<name>[^\s;,"]+))""", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Relation();
}
