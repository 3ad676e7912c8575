using System.Security.Cryptography;

namespace Mirror.Upstream;

/// <summary>
/// The header by which a mirror notices that its own request to an upstream comes back to it: its upstream is the mirror itself, or another
/// mirror that has this one as its upstream. Each mirror adds the mark of the upstream that it asks to the marks that came with its
/// client's request. Only registries get the header. It is not <c>Via</c>, because proxies and CDNs act on that.
/// </summary>
public static class LoopMark
{
    /// <summary>The name of the header. Its value is a list of marks with a blank between two.</summary>
    public const string Header = "X-Mirror-Loop";

    // A chain of more mirrors is not noticed as a loop. Clients can write the header too.
    private const int MaxLength = 16 * (Length + 1);
    private const int Length = 16;

    private static readonly AsyncLocal<string?> Ambient = new();

    /// <summary>A new mark for an upstream. It tells nothing of the upstream or of this mirror.</summary>
    public static string New() => RandomNumberGenerator.GetHexString(Length, lowercase: true);

    /// <summary>Reads the marks of a client's request, for the async method that calls this and for the work that it starts.</summary>
    /// <param name="header">The header's value.</param>
    /// <returns>The upstream through which the request came back; null if it did not come from this mirror.</returns>
    public static UpstreamOrigin? Receive(string header, IEnumerable<UpstreamOrigin> upstreams)
    {
        if (header.Length > MaxLength || header.Any(c => c != ' ' && !char.IsAsciiHexDigitLower(c)))
            return null;
        Ambient.Value = header;
        return upstreams.FirstOrDefault(upstream => header.Contains(upstream.LoopMark, StringComparison.Ordinal));
    }

    /// <summary>Adds the marks to a request to an upstream's registry.</summary>
    internal static void AddTo(HttpRequestMessage request, UpstreamOrigin upstream) =>
        request.Headers.Add(Header, Ambient.Value is { } earlier ? $"{earlier} {upstream.LoopMark}" : upstream.LoopMark);
}
