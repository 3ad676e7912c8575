using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mirror.Configuration;

/// <summary>
/// The proxies that <c>HTTP_PROXY</c> and <c>HTTPS_PROXY</c> name, and the addresses that <c>NO_PROXY</c> excludes, read as Docker,
/// containerd and <c>registry:2</c> read them: by the rules of Go's package <c>golang.org/x/net/http/httpproxy</c>. The framework's own
/// reading of these variables knows neither networks nor ports, and sends requests for this machine to the proxy.
/// </summary>
internal sealed class EnvironmentProxy : IWebProxy, ICredentials
{
    private static readonly string[] Schemes = [Uri.UriSchemeHttp, Uri.UriSchemeHttps, "socks4", "socks4a", "socks5"];

    private readonly Proxy? _forHttp;
    private readonly Proxy? _forHttps;
    private readonly Func<Target, bool>[] _excluded;
    private readonly List<string> _warnings = [];

    /// <param name="environment">The environment of the process.</param>
    public EnvironmentProxy(IReadOnlyDictionary<string, string> environment)
    {
        _forHttp = ProxyOf("HTTP_PROXY");
        _forHttps = ProxyOf("HTTPS_PROXY");
        _excluded = [.. Value("NO_PROXY").Split(',', StringSplitOptions.TrimEntries).Select(Exclusion).OfType<Func<Target, bool>>()];

        // The upper case comes first, and an empty variable is an absent one.
        string Value(string name) => environment.GetValueOrDefault(name) is { Length: > 0 } upper
            ? upper
            : environment.GetValueOrDefault(name.ToLowerInvariant(), "");

        Proxy? ProxyOf(string name)
        {
            if (Value(name).Trim() is not { Length: > 0 } text)
                return null;
            var proxy = Proxy.Parse(text);
            if (proxy is null)
                _warnings.Add($"{name} is ignored: write the address of a proxy, such as http://proxy.example:3128");
            return proxy;
        }
    }

    /// <summary>The variables that cannot be used, one line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>The users and passwords that stand in the addresses of the proxies. They cannot be replaced.</summary>
    public ICredentials? Credentials
    {
        get => this;
        set => throw new NotSupportedException();
    }

    /// <summary>
    /// The user and password that stand in the address of this proxy; null where there are none, and for Negotiate and NTLM. With these
    /// the framework would not try Basic, which such a proxy offers beside them, and they need an account of this machine.
    /// </summary>
    public NetworkCredential? GetCredential(Uri uri, string authType) =>
        authType.ToUpperInvariant() is "NEGOTIATE" or "NTLM" ? null
        : uri == _forHttp?.Address ? _forHttp.Credential
        : uri == _forHttps?.Address ? _forHttps.Credential
        : null;

    /// <summary>The proxy for a request, without user and password; null where the request goes to its destination directly.</summary>
    public Uri? GetProxy(Uri destination)
    {
        var proxy = destination.Scheme == Uri.UriSchemeHttps ? _forHttps : destination.Scheme == Uri.UriSchemeHttp ? _forHttp : null;
        if (proxy is null)
            return null;
        var target = new Target(destination.IdnHost.ToLowerInvariant(), AddressOf(destination.IdnHost), destination.Port);
        var isThisMachine = target.Host == "localhost" || target.Address is { } address && IPAddress.IsLoopback(address);
        return isThisMachine || Array.Exists(_excluded, excludes => excludes(target)) ? null : proxy.Address;
    }

    public bool IsBypassed(Uri host) => GetProxy(host) is null;

    // One entry of NO_PROXY; null where it excludes nothing.
    private static Func<Target, bool>? Exclusion(string entry)
    {
        if (entry == "*")
            return _ => true;
        if (NetworkOf(entry) is { } network)
            return target => target.Address is { } address && network.Contains(address);
        if (!TrySplit(entry, out var host, out var port))
            return null;
        if (AddressOf(host) is { } excluded)
            return target => excluded.Equals(target.Address) && IsPort(target);

        // "domain" is the domain with its subdomains; ".domain" and "*.domain" are its subdomains alone.
        var isWildcard = host.StartsWith("*.", StringComparison.Ordinal);
        var withItself = !isWildcard && !host.StartsWith('.');
        var domain = InAscii(isWildcard ? host[2..] : host.TrimStart('.'));
        var below = "." + domain;
        return target => (target.Host.EndsWith(below, StringComparison.Ordinal) || withItself && target.Host == domain) && IsPort(target);

        bool IsPort(Target target) => port is null || port == target.Port;
    }

    private static bool TrySplit(string entry, out string host, out int? port)
    {
        // An IPv6 address has colons of its own: with a port it stands in brackets.
        var colon = entry.LastIndexOf(':');
        var hasPort = colon >= 0 && (entry.StartsWith('[') ? entry[colon - 1] == ']' : entry.IndexOf(':') == colon);
        host = (hasPort ? entry[..colon] : entry).Trim('[', ']');
        port = null;
        if (!hasPort || colon == entry.Length - 1)
            return host.Length > 0;
        var isNumber = int.TryParse(entry.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number);
        port = number;
        return isNumber && host.Length > 0;
    }

    private static IPNetwork? NetworkOf(string entry)
    {
        if (entry.Split('/') is not [var start, var length] || AddressOf(start) is not { } address
            || !int.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var bits))
            return null;
        var bytes = address.GetAddressBytes();
        if (bits > bytes.Length * 8)
            return null;
        // The address may be any one of the network: 10.1.2.3/8.
        for (var bit = bits; bit < bytes.Length * 8; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), bits);
    }

    // Four decimal numbers, or IPv6. The framework also takes "10" for an address.
    private static IPAddress? AddressOf(string text) =>
        IPAddress.TryParse(text, out var address) && (address.AddressFamily == AddressFamily.InterNetworkV6 || address.ToString() == text)
            ? address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address
            : null;

    private static string InAscii(string domain)
    {
        try
        {
            return new IdnMapping().GetAscii(domain).ToLowerInvariant();
        }
        catch (ArgumentException)
        {
            return domain.ToLowerInvariant();
        }
    }

    private readonly record struct Target(string Host, IPAddress? Address, int Port);

    private sealed record Proxy(Uri Address, NetworkCredential? Credential)
    {
        public static Proxy? Parse(string text)
        {
            // socks5h leaves the resolving of names to the proxy, which our client does in any case.
            text = text.StartsWith("socks5h://", StringComparison.OrdinalIgnoreCase) ? "socks5" + text[7..] : text;
            if (!Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text, UriKind.Absolute, out var given)
                || !Schemes.Contains(given.Scheme) || given.Host.Length == 0
                || !Uri.TryCreate(
                    // A name that is none, such as ".", is taken for one in a scheme of which .NET knows nothing.
                    $"{given.Scheme}://{given.Host}:{(given.Port < 0 ? 1080 : given.Port)}", UriKind.Absolute, out var address))
                return null;
            var user = given.UserInfo.Split(':', 2).Select(Uri.UnescapeDataString).ToArray();
            return new Proxy(address, user[0].Length == 0 ? null : new NetworkCredential(user[0], user.ElementAtOrDefault(1) ?? ""));
        }
    }
}
