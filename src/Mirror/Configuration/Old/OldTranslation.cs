using Mirror.Configuration.Reading;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>Makes today's settings of a file of docker-registry 0.x, and says of each key what becomes of it.</summary>
internal static class OldTranslation
{
    private const string DefaultIssue = "\"docker-registry server\"";
    private const string NoAccounts = "every client may do everything, as before; section auth would limit that";

    private static readonly Dictionary<string, string> NoOtherNames = [];

    /// <summary>The translation; null and an error where the file does not have the flavor. What prevents the start is an error as
    /// well.</summary>
    /// <param name="isSample">Whether the file is <see cref="OldSample"/>, whose variables have second names.</param>
    public static OldConfiguration? Of(
        YamlMappingNode file, bool isSample, IReadOnlyDictionary<string, string> environment, Findings findings)
    {
        if (OldFile.Flavor(file, environment, isSample ? OldSample.OtherNames : NoOtherNames, findings) is not var (flavor, keys))
            return null;
        var old = new OldSettings(keys);
        var withLogin = environment.Keys.Any(name => name.StartsWith("REGISTRY_AUTH", StringComparison.Ordinal));
        Log(old);
        OldReports.Translate(old, flavor, environment);
        Logins(old, withLogin);
        OldStorage.Translate(old, environment);
        Mirroring(old);
        Caches(old);
        Search(old);
        OldCors.Translate(old);
        Fronts(old);
        OldProcess.Translate(old, environment);
        foreach (var unknown in old.Left.ToList())
        {
            old.Say(unknown, OldKeyFate.WithoutEffect, "it is no key of docker-registry");
            findings.Warnings.Add($"{unknown} is not a known key of docker-registry 0.x and is ignored");
        }
        foreach (var fate in old.Fates)
            if (fate.Fate is OldKeyFate.Refused)
                findings.Errors.Add($"{fate.Name}: {fate.Text}");
            else if (fate.Fate is OldKeyFate.NotDone or OldKeyFate.TakenInPart)
                findings.Warnings.Add($"{fate.Name}: {fate.Outcome}");
        return new OldConfiguration
        {
            Flavor = flavor,
            Keys = old.Fates,
            Translation = YamlText.Write(old.Today),
            Issue = old["issue"] ?? DefaultIssue,
            SearchesNothing = old["search_backend"] is null,
            IsDebug = old.Flag("debug") == true,
            Today = old.Today,
        };
    }

    private static void Log(OldSettings old)
    {
        old.Take("loglevel", "log.level", old["loglevel"]?.ToUpperInvariant() switch
        {
            "CRITICAL" or "FATAL" => "error",
            "NOTSET" => "debug",
            "WARNING" => "warn",
            _ => null,
        });
        old.Say("debug", OldKeyFate.Taken, old.Flag("debug") == true ? "/_ping names the flavor" : "/_ping does not name the flavor");
        old.Say("issue", OldKeyFate.Taken, "the answer of GET /");
    }

    private static void Logins(OldSettings old, bool withLogin)
    {
        var isOpen = old.Flag("standalone") != false || old.Flag("disable_token_auth") == true;
        if (withLogin)
            old.Say("standalone", OldKeyFate.Taken, "auth, as the variables REGISTRY_AUTH_... set it");
        else if (isOpen)
            old.Say("standalone", OldKeyFate.Taken, $"no section auth: {NoAccounts}");
        else
            old.Say("standalone", OldKeyFate.Refused,
                "the index that checked its tokens is gone, and without it the registry would be open to every client; set "
                + "standalone: true for that, or let clients log in with the variables REGISTRY_AUTH_HTPASSWD_REALM and "
                + "REGISTRY_AUTH_HTPASSWD_PATH, or those of auth.token");
        old.Say("disable_token_auth", OldKeyFate.Taken,
            withLogin ? "auth, as the variables REGISTRY_AUTH_... set it" : $"no section auth: {NoAccounts}");
        old.Say("index_endpoint", OldKeyFate.WithoutEffect, "that index is gone; it was asked with standalone: false only");
        if (withLogin)
            old.Take("privileged_key", "auth.privileged_key");
        else
            old.Say("privileged_key", OldKeyFate.WithoutEffect, "the owner of the key may do everything, as every client may");
    }

    private static void Mirroring(OldSettings old)
    {
        if (old["mirroring.source"] is null)
        {
            old.SayOfAll("mirroring.", OldKeyFate.WithoutEffect, "mirroring.source names no registry");
            return;
        }
        old.Take("mirroring.source", "proxy.remoteurl");
        old.Take("mirroring.tags_cache_ttl", "proxy.tags_cache_ttl");
        old.Take("mirroring.source_index", "search.source_index");
        // docker-registry took pushes under every name. One of an image upstream would hide that image.
        old.Set("hosted.repositories", new YamlSequenceNode(new YamlScalarNode("local/**")));
        old.Say("mirroring.source", OldKeyFate.Taken, "proxy.remoteurl; clients can push to local/** (hosted.repositories)");
    }

    private static void Caches(OldSettings old)
    {
        var used = old["cache.host"] is not null ? "cache" : "cache_lru";
        if (old[$"{used}.host"] is { } host)
        {
            old.Set("redis.addr", Address(used, host));
            old.Say($"{used}.host", OldKeyFate.Taken, "redis.addr");
            old.Say($"{used}.port", OldKeyFate.Taken, "redis.addr");
            old.Take($"{used}.db", "redis.db");
            old.Take($"{used}.password", "redis.password");
        }
        if (used is "cache" && old["cache_lru.host"] is { } second)
            old.Say("cache_lru.host", OldKeyFate.WithoutEffect, Address("cache_lru", second) == Address("cache", old["cache.host"]!)
                ? "the Redis of cache serves for this too"
                : "one Redis is used, that of cache: small files need no second one");
        old.SayOfAll("cache_lru.", OldKeyFate.WithoutEffect, used is "cache" ? "the Redis of cache is used" : "cache_lru.host is not set");
        old.SayOfAll("cache.", OldKeyFate.WithoutEffect, "cache.host is not set");

        string Address(string section, string name) => $"{name}:{old[$"{section}.port"] ?? "6379"}";
    }

    private static void Search(OldSettings old)
    {
        const string index = "sqlalchemy_index_database";
        var dialect = old[index]?.Split(':', '+')[0];
        if (old["search_backend"] is not { } backend)
            old.Say(index, OldKeyFate.WithoutEffect, "search_backend is not set, and /v1/search finds nothing");
        else if (!backend.Equals("sqlalchemy", StringComparison.OrdinalIgnoreCase))
        {
            old.Say("search_backend", OldKeyFate.Refused,
                $"{backend} is a Python module, which this server cannot run; set sqlalchemy, or nothing for a search that finds nothing");
            old.Say(index, OldKeyFate.WithoutEffect, "search_backend is refused");
        }
        else if (dialect is null or "sqlite" or "mysql" or "mariadb" or "postgresql" or "postgres")
        {
            old.Take(index, "search.database");
            old.Say("search_backend", OldKeyFate.Taken, dialect is null
                ? "/v1/search looks into the names that are stored"
                : "search.database; without sqlalchemy_index_database /v1/search looks into the names that are stored");
        }
        else
        {
            old.Say(index, OldKeyFate.Refused,
                $"{dialect} is not known; set {SearchDatabase.Form}, or nothing: /v1/search needs no database");
            old.Say("search_backend", OldKeyFate.Taken, "/v1/search looks into the names that are stored");
        }
    }

    private static void Fronts(OldSettings old)
    {
        if (old["registry_endpoints"] is { } host && host.Contains("://", StringComparison.Ordinal))
            old.Take("registry_endpoints", "http.host");
        else
            old.Say("registry_endpoints", OldKeyFate.WithoutEffect,
                "addresses in answers are paths, or what a proxy in front reports; http.host gives them scheme and host");
        old.Say("nginx_x_accel_redirect", OldKeyFate.NotDone, "this server sends the bytes itself; let nginx pass every request on to it");
    }
}
