using Mirror.Configuration;

namespace Mirror.Hosting;

/// <summary>Tells the operator which clients may pull, push and delete.</summary>
internal static class AccessSummary
{
    /// <summary>One line: who may pull, push and delete.</summary>
    public static string Of(MirrorOptions options)
    {
        var all = options.Access.Rules is not [] ? "as access.rules say"
            : options.Auth.Htpasswd is { } htpasswd ? $"users of {htpasswd.Path}"
            : options.Auth.Token is { } token ? $"clients with a token of {token.Issuer}"
            : RequiresCertificate(options) ? "clients with a certificate of http.tls.clientcas"
            : "every client";
        var pushes = WhyNoPushes(options) is { } why ? $"no client ({why})"
            : options.Proxy.HasUpstream ? $"{all}, to {string.Join(", ", options.Hosted.Repositories.DefaultIfEmpty("no repository"))}"
            : all;
        var deletes = WhyNoDeletes(options) is { } whyNot ? $"no client ({whyNot})" : all;
        return $"pulls: {all}; pushes: {pushes}; deletes: {deletes}";
    }

    /// <summary>Warnings about settings that let in more clients than the operator may want, one line each.</summary>
    public static IEnumerable<string> Warnings(MirrorOptions options)
    {
        if (options.KnowsClients || RequiresCertificate(options))
            yield break;
        foreach (var (upstream, name) in options.Proxy.AllUpstreams())
            if (upstream is not { Username: null, Exec: null, Credentials: [] } and { Private: PrivateImages.Account })
                yield return $"the account at {name} is used for every client: without auth, its private images are open to all who "
                    + $"reach {options.Http.Addr}; set auth.htpasswd, auth.token or access.rules";

        string[] open = [.. new[] { WhyNoPushes(options) is null ? "push" : "", WhyNoDeletes(options) is null ? "delete" : "" }
            .Where(verb => verb.Length > 0)];
        if (open.Length > 0 && !options.Http.Listen.IsLoopback)
            yield return $"all who reach {options.Http.Addr} may {string.Join(" and ", open)} without a password; set auth.htpasswd, "
                + "auth.token or access.rules, or let http.addr begin with localhost";
    }

    private static bool RequiresCertificate(MirrorOptions options) =>
        options.Http.Tls is { IsOn: true, ClientCas.Length: > 0, ClientAuth: ClientAuth.RequireAndVerify };

    private static string? WhyNoPushes(MirrorOptions options) =>
        options.Storage.Maintenance.ReadOnly.Enabled ? "storage.maintenance.readonly.enabled"
        : options.TakesWrites ? null
        : "a mirror needs auth or hosted.repositories for that";

    private static string? WhyNoDeletes(MirrorOptions options) =>
        WhyNoPushes(options) ?? (options.Storage.Delete.Enabled ? null : "storage.delete.enabled is false");
}
