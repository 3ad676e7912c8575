using System.Net;
using Mirror.Configuration;

namespace Mirror.Registry;

/// <summary>
/// The proxies in front of this server that are trusted (<c>http.trusted_proxies</c>) to say which address the client has, and which host
/// it asked. From requests of all others these headers are removed, so that no later code can believe them.
/// </summary>
public sealed class TrustedProxies(HttpOptions http)
{
    private const string Forwarded = "Forwarded";
    private const string ForwardedFor = "X-Forwarded-For";
    private const string ForwardedHost = "X-Forwarded-Host";
    private const string ForwardedProto = "X-Forwarded-Proto";
    private const string RealAddress = "X-Real-IP";

    private static readonly string[] Headers = [Forwarded, ForwardedFor, ForwardedHost, ForwardedProto, RealAddress];

    private readonly IPNetwork[] _networks = [.. http.TrustedProxies.Select(text => TryParse(text) ?? throw new FormatException(text))];

    /// <summary>An address, or a network as in <c>10.0.0.0/8</c>; null for any other text.</summary>
    public static IPNetwork? TryParse(string text) =>
        IPAddress.TryParse(text, out var address) ? new IPNetwork(address, address.GetAddressBytes().Length * 8)
            : IPNetwork.TryParse(text, out var network) ? network
            : null;

    /// <summary>
    /// Sets the client's address to the one that trusted proxies report. Their chain is read from its end: the last address that is no
    /// trusted proxy is the client.
    /// </summary>
    /// <param name="isFromReplica">Whether another replica, which has done this already, passes the request on.</param>
    /// <returns>Whether a proxy told the address.</returns>
    public bool Apply(HttpContext context, bool isFromReplica)
    {
        var headers = context.Request.Headers;
        if (!HasAny(headers))
            return false;
        if (!isFromReplica && !IsTrusted(context.Connection.RemoteIpAddress))
        {
            foreach (var name in Headers)
                headers.Remove(name);
            return false;
        }
        // As in registry:2, the standard header (RFC 7239) precedes the older ones.
        var hops = headers.TryGetValue(Forwarded, out var standard) ? standard.ToString().Split(',').Select(hop => Field(hop, "for"))
            : headers.TryGetValue(ForwardedFor, out var chain) ? chain.ToString().Split(',')
            : headers[RealAddress].ToString().Split(',');
        foreach (var hop in hops.Reverse())
        {
            if (AddressOf(hop) is not { } client)
                return true;
            (context.Connection.RemoteIpAddress, context.Connection.RemotePort) = (client.Address, client.Port);
            if (!IsTrusted(client.Address))
                return true;
        }
        return true;
    }

    /// <summary>The scheme and host that the client asked, as trusted proxies report them; null where they do not report both.</summary>
    public static string? AskedOrigin(IHeaderDictionary headers)
    {
        // Each proxy appends its entry after a comma. The first one tells what the client asked.
        var (scheme, host) = headers.TryGetValue(Forwarded, out var standard) && First(standard) is var hop
            ? (Field(hop, "proto"), Field(hop, "host"))
            : (First(headers[ForwardedProto]), First(headers[ForwardedHost]));
        // A scheme may be in upper case (RFC 9110, 4.2.3).
        scheme = scheme?.ToLowerInvariant();
        return scheme is "http" or "https" && host is { Length: > 0 } && Uri.TryCreate($"{scheme}://{host}", UriKind.Absolute, out var url)
            && url is { PathAndQuery: "/", Fragment: "", UserInfo: "" } && HeaderText.IsValid(url.Authority)
            ? $"{scheme}://{url.Authority}"
            : null;
    }

    /// <summary>Whether a trusted proxy passed a request on, after <see cref="Apply"/>.</summary>
    public static bool IsPassedOn(IHeaderDictionary headers) => HasAny(headers);

    private static bool HasAny(IHeaderDictionary headers)
    {
        foreach (var name in Headers)
            if (headers.ContainsKey(name))
                return true;
        return false;
    }

    private bool IsTrusted(IPAddress? address) => address is not null && Array.Exists(_networks, network => network.Contains(address));

    // An address with or without a port, which is 0 then; IPv6 with or without brackets. Null for what hides an address.
    private static IPEndPoint? AddressOf(string? hop) =>
        IPEndPoint.TryParse(hop?.Trim().Trim('"') ?? "", out var client)
            ? new IPEndPoint(client.Address.IsIPv4MappedToIPv6 ? client.Address.MapToIPv4() : client.Address, client.Port)
            : null;

    // A field of an element of Forwarded; null where it has none.
    private static string? Field(string hop, string name) => hop.Split(';', StringSplitOptions.TrimEntries)
        .FirstOrDefault(pair => pair.StartsWith($"{name}=", StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim('"');

    private static string First(string? list) => (list ?? "").Split(',')[0].Trim();
}
