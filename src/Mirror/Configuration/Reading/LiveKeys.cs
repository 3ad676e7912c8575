namespace Mirror.Configuration.Reading;

/// <summary>Which keys of a changed configuration take effect while the server runs. All others need a restart.</summary>
/// <param name="now">The values in force, by the paths that the binder uses.</param>
/// <param name="next">The values of the changed configuration.</param>
/// <param name="differing">The keys of both whose values differ.</param>
internal sealed class LiveKeys(
    IReadOnlyDictionary<string, string?> now, IReadOnlyDictionary<string, string?> next, IReadOnlyList<string> differing)
{
    private const string Upstreams = "proxy:upstreams";

    // Whole sections and lists, with all that is below them.
    private static readonly string[] Sections =
    [
        "log:level", "proxy:tags_cache_ttl", "proxy:max_stale", "proxy:stale_while_revalidate", "proxy:immutable_tags", "proxy:stale_after",
        "proxy:fail_fast", "proxy:wait_limited", "proxy:ttl", "proxy:warm", "http:tls:clientcas",
    ];

    private static readonly string[] OfAnUpstream = ["policies", "username", "password", "credentials", "exec"];

    // They change while the server runs, but the server starts otherwise without them.
    private static readonly string[] WhileBothHave =
        ["auth:htpasswd:path", "auth:htpasswd:realm", "http:tls:certificate", "http:tls:key", "access"];

    // Entries have numbers. After any other change, a number may mean another upstream.
    private readonly bool _areSameUpstreams = differing.All(key => !IsBelow(key, Upstreams) || OfOneUpstream(key) is not null);

    /// <summary>Whether the key's new value takes effect while the server runs.</summary>
    public bool Contains(string key) =>
        Array.Exists(Sections, section => IsBelow(key, section))
        || Array.Exists(OfAnUpstream, part => IsBelow(key, $"proxy:{part}"))
        || _areSameUpstreams && OfOneUpstream(key) is not null
        || Array.Exists(WhileBothHave, part => IsBelow(key, part) && Has(now, part) && Has(next, part)) && !OpensOrCloses(key);

    // Which challenge clients get, and whether certificates are asked for, is settled at the start.
    private bool OpensOrCloses(string key) =>
        IsBelow(key, "access") && (Asks(now, ":who:anonymous") != Asks(next, ":who:anonymous")
            || Asks(now, ":who:certificates:0") != Asks(next, ":who:certificates:0"));

    private static bool Asks(IReadOnlyDictionary<string, string?> values, string what) =>
        values.Any(entry => entry.Key.EndsWith(what, StringComparison.OrdinalIgnoreCase) && entry.Value is not "false");

    private static bool Has(IReadOnlyDictionary<string, string?> values, string part) => values.Keys.Any(key => IsBelow(key, part));

    // proxy:upstreams:0:policies... is policies.
    private static string? OfOneUpstream(string key) =>
        IsBelow(key, Upstreams) && key.Split(':') is [_, _, _, var part, ..]
            ? OfAnUpstream.FirstOrDefault(known => known.Equals(part, StringComparison.OrdinalIgnoreCase))
            : null;

    private static bool IsBelow(string key, string section) =>
        key.StartsWith(section, StringComparison.OrdinalIgnoreCase) && (key.Length == section.Length || key[section.Length] == ':');
}
