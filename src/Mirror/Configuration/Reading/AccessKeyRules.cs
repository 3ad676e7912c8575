namespace Mirror.Configuration.Reading;

/// <summary>Checks the settings that say who may do what.</summary>
internal static class AccessKeyRules
{
    private static readonly string[] WaysToLogIn = ["htpasswd", "token", "silly"];

    /// <summary>The mistakes.</summary>
    public static void Check(MirrorOptions options, IConfiguration values, Findings findings)
    {
        string[] ways = [.. WaysToLogIn.Where(way => values.GetSection($"auth:{way}").Exists())];
        if (ways.Length > 1)
            findings.Errors.Add($"auth: {string.Join(" and ", ways)} are not allowed together: there is one way to log in");
        if (options.Auth.Htpasswd?.Path is { Length: > 0 } users && !Path.Exists(users))
            findings.Errors.Add($"auth.htpasswd.path: {users} does not exist; make it with: htpasswd -Bbn USER PASSWORD > {users} "
                + "(with this program's image: docker run --rm --entrypoint htpasswd IMAGE -Bbn USER PASSWORD > FILE)");
        if (options.Http.Cors is { SupportsCredentials: true, NamesEveryHost: true })
            findings.Errors.Add("http.cors.origins: every host is not allowed with http.cors.supports_credentials: a page of any host "
                + "could then use the login that a browser has kept; name the hosts, or set supports_credentials to false");
        CheckPrivate(options, findings);
        if (options.Auth.Oidc is not null && options.Access.Rules is [])
            findings.Errors.Add("auth.oidc: not allowed without access.rules: every job of the issuer could do everything; write rules "
                + "about the claims of its tokens");
        foreach (var (i, rule) in options.Access.Rules.Index())
            CheckRule(options, rule, $"access.rules.{i}", findings);
        if (options.Auth.Token is { RootCertBundle: null, Jwks: null })
            findings.Errors.Add("auth.token.rootcertbundle: missing; it or auth.token.jwks names the file with the token server's keys");
    }

    // A login for this server must not go to a registry.
    private static void CheckPrivate(MirrorOptions options, Findings findings)
    {
        if (options.Proxy.UpstreamsForClientLogins is not []
            && options.Auth is not { Htpasswd: null, Token: null, Silly: null, Oidc: null })
            findings.Errors.Add("proxy.private: client is not allowed with a way to log in in section auth: a login for this server "
                + "would be sent upstream; remove one of them, or set proxy.private to off");
    }

    // A rule with a mistake must not pass as a rule that lets in no client, or more clients than the operator wrote.
    private static void CheckRule(MirrorOptions options, RuleOptions rule, string path, Findings findings)
    {
        if (rule.Who is { Users: [], Groups: [], Claims.Count: 0, Certificates: [], Anonymous: false })
            findings.Errors.Add($"{path}.who: missing; it names users, groups, claims or certificates, or has anonymous: true");
        if (rule.Repositories is [])
            findings.Errors.Add($"{path}.repositories: missing; patterns of repository names, such as \"team/**\", are required");
        if (rule.Actions is [])
            findings.Errors.Add($"{path}.actions: missing; pull, push, delete, list or admin is required");
        foreach (var (claim, _) in rule.Who.Claims.Where(entry => entry.Value is []))
            findings.Errors.Add($"{path}.who.claims.{claim}: missing; values are required, and the name of a claim may not contain ':'");
        if (rule.Who.Certificates is not [] && options.Http.Tls.ClientCas is [])
            findings.Errors.Add($"{path}.who.certificates: not allowed without http.tls.clientcas: no certificate would be checked");
        if (rule.Who.Certificates is not [] && options.Http.Tls.DemandOnClients is ClientAuth.RequireAny or ClientAuth.Request)
            findings.Errors.Add($"{path}.who.certificates: not allowed with http.tls.clientauth: "
                + $"{ValueRules.WordOf(options.Http.Tls.DemandOnClients)}, which checks no certificate");
        if (options.Auth is { Htpasswd: null, Token: null, Silly: null } && rule.Who is { Users: not [] } or { Groups: not [] })
            findings.Errors.Add($"{path}.who: users and groups are not allowed without a section auth: no client could log in");
    }

    /// <summary>Settings that are allowed, but probably not intended.</summary>
    public static void Warn(MirrorOptions options, Findings findings)
    {
        if (options.Auth.Silly is not null)
            findings.Warnings.Add("auth.silly lets in every client that sends any Authorization header: use it for tests only");
        if (options.Auth.Htpasswd is { Realm: var realm } && !HeaderText.IsValid(realm))
            findings.Warnings.Add(
                $"auth.htpasswd.realm: clients show \"{HeaderText.Of(realm)}\", because the header of a challenge is ASCII");
        foreach (var (i, rule) in options.Access.Rules.Index())
            foreach (var pattern in rule.Repositories.Where(pattern => NeverMatches(options, pattern)))
                findings.Warnings.Add($"access.rules.{i}.repositories: \"{pattern}\" matches no image of Docker Hub: their names are "
                    + "those of the catalog, such as library/nginx");
        if (options.Http.Tls.DemandOnClients is ClientAuth.RequireAny or ClientAuth.Request)
            findings.Warnings.Add($"http.tls.clientauth: {ValueRules.WordOf(options.Http.Tls.DemandOnClients)} checks no certificate"
                + (options.Http.Tls.ClientCas is [] ? ", and without http.tls.clientcas no client is asked for one" : ""));
        if (options.Http.Cors.Origins is not [])
            foreach (var name in options.Http.Headers.Keys.Where(
                name => name.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase)))
                findings.Warnings.Add($"http.headers.{name} has no effect in the answers of the registry, because http.cors is set");
        foreach (var name in options.Auth.Token?.SigningAlgorithms ?? [])
            if (name.StartsWith("HS", StringComparison.Ordinal))
                findings.Warnings.Add($"auth.token.signingalgorithms: no token with {name} is let in: a key that clients can read must "
                    + "not verify it");
    }

    // A rule only allows, so that such a pattern opens nothing.
    private static bool NeverMatches(MirrorOptions options, string pattern) =>
        options.Proxy.RemoteUrl is not null && options.Proxy.AllUpstreams()[0].PathName == DockerHub.Name
        && (DockerHub.Without(pattern) is not null
            || !pattern.Contains('/', StringComparison.Ordinal) && !pattern.Contains("**", StringComparison.Ordinal))
        && !options.Hosted.Repositories.Any(hosted => hosted == pattern
            || !hosted.Contains('/', StringComparison.Ordinal) && hosted.Contains('*', StringComparison.Ordinal));
}
