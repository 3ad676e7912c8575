using Mirror.Configuration;
using Mirror.Repositories;

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
        if (RequiresCertificate(options))
            yield break;
        foreach (var warning in options.Access.Rules.Index().SelectMany(entry => OfRule(options, entry.Index, entry.Item)))
            yield return warning;
        if (options.KnowsClients)
            yield break;
        foreach (var (upstream, name) in options.Proxy.AllUpstreams())
            if (OpenAccount(upstream, name) is { } account)
                yield return $"{account} is used for every client: without auth, its private images are open to all who "
                    + $"reach {options.Http.Addr}; set auth.htpasswd, auth.token or access.rules";

        string[] open = [.. new[] { WhyNoPushes(options) is null ? "push" : "", WhyNoDeletes(options) is null ? "delete" : "" }
            .Where(verb => verb.Length > 0)];
        if (open.Length > 0 && !options.Http.Listen.IsLoopback)
            yield return $"all who reach {options.Http.Addr} may {string.Join(" and ", open)} without a password; set auth.htpasswd, "
                + "auth.token or access.rules, or let http.addr begin with localhost";
    }

    private static IEnumerable<string> OfRule(MirrorOptions options, int number, RuleOptions rule)
    {
        const string advice = "name users, groups, claims or certificates in its 'who'";
        if (!rule.Who.Anonymous)
            yield break;
        var (path, addr) = ($"access.rules.{number}", options.Http.Addr);
        if (Allows("pull"))
            foreach (var (i, (upstream, name)) in options.Proxy.AllUpstreams().Index())
                if (OpenAccount(upstream, name) is { } account
                    && CoversAll(i == 0 && options.Proxy.RemoteUrl is not null ? "" : $"{name}/"))
                    yield return $"{account} is used for every client: by {path}, its private images are open to all who "
                        + $"reach {addr}; {advice}";

        string[] open = [.. new[]
        {
            Allows("push") && WhyNoPushes(options) is null ? "push" : "",
            Allows("delete") && WhyNoDeletes(options) is null ? "delete" : "",
            Allows("admin") ? "administer" : "",
        }.Where(verb => verb.Length > 0)];
        if (open.Length > 0 && !options.Http.Listen.IsLoopback)
            yield return $"by {path}, all who reach {addr} may {string.Join(" and ", open)} in {string.Join(", ", rule.Repositories)} "
                + $"without a password; {advice}, or let http.addr begin with localhost";

        bool Allows(string action) => rule.Actions.Contains(action, StringComparer.OrdinalIgnoreCase);

        // A pattern that matches names of no certain owner opens the images of all. Others name what their author meant to open.
        bool CoversAll(string prefix) =>
            rule.Repositories.Any(pattern => new NamePattern(pattern).IsMatch($"{prefix}any-owner/any-image"));
    }

    private static string? OpenAccount(UpstreamOptions upstream, string name) =>
        upstream.Private is not PrivateImages.Account ? null
        : upstream is not { Username: null, Exec: null, Credentials: [] } ? $"the account at {name}"
        : upstream.Tls.Certificate is not null ? $"the client certificate for {name}"
        : null;

    private static bool RequiresCertificate(MirrorOptions options) =>
        options.Http.Tls is { IsOn: true, ClientCas.Length: > 0, DemandOnClients: ClientAuth.RequireAndVerify };

    private static string? WhyNoPushes(MirrorOptions options) =>
        options.Storage.Maintenance.ReadOnly.Enabled ? "storage.maintenance.readonly.enabled"
        : options.TakesWrites ? null
        : "a mirror needs auth or hosted.repositories for that";

    private static string? WhyNoDeletes(MirrorOptions options) =>
        WhyNoPushes(options) ?? (options.Storage.Delete.Enabled ? null : "storage.delete.enabled is false");
}
