namespace Mirror.Configuration.Reading;

/// <summary>The keys that <c>registry:2</c> and <c>registry:3</c> do not have.</summary>
internal static class OwnKeys
{
    private static readonly string[] Sections =
    [
        "access", "fleet", "hosted", "ui", "log:audit", "http:trusted_proxies", "http:idle_timeout", "http:cors",
        "auth:privileged_key", "storage:maintenance:garbagecollect",
    ];

    private static readonly string[] OfProxyElsewhere = ["remoteurl", "username", "password", "ttl", "exec", "cachewritetimeout"];

    /// <summary>Whether a configuration uses any of them.</summary>
    public static bool AreIn(IConfiguration values) =>
        Array.Exists(Sections, section => values.GetSection(section).Exists())
        || values.GetSection("proxy").GetChildren().Any(key => !OfProxyElsewhere.Contains(key.Key, StringComparer.OrdinalIgnoreCase));
}
