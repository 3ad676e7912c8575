namespace Mirror.Configuration.Reading;

/// <summary>
/// Reads the patterns of policies as the server reads the names of clients: without the default upstream's name before them, and with
/// <c>library/</c> on Docker Hub. A pattern <c>nginx</c> would otherwise never match, and what it denies would be served.
/// </summary>
internal static class PolicyPatterns
{
    private const string Library = "library/";

    /// <summary>Replaces each pattern by the one that matches the names under which repositories are stored.</summary>
    public static void Complete(ProxyOptions proxy, Findings findings)
    {
        foreach (var (i, policy) in proxy.Policies.Index())
            policy.Match = [.. policy.Match.Select(pattern => OfCatalog(proxy, pattern, $"proxy.policies.{i}.match", findings))];
        foreach (var (upstream, name) in Further(proxy))
            foreach (var policy in upstream.Policies)
                policy.Match = [.. policy.Match.Select(pattern => AtUpstream(upstream, name, pattern))];
    }

    private static string OfCatalog(ProxyOptions proxy, string pattern, string path, Findings findings)
    {
        var further = Further(proxy);
        var dockerHub = further.Find(upstream => upstream.PathName == DockerHub.Name);
        if (dockerHub.PathName is { } hub && DockerHub.Without(pattern) is { } ofDockerHub)
            return $"{hub}/{Official(ofDockerHub)}";
        if (proxy.RemoteUrl is null)
            return pattern;
        var name = proxy.AllUpstreams()[0].PathName;
        var isOfFurther = further.Exists(upstream => pattern.StartsWith($"{upstream.PathName}/", StringComparison.Ordinal));
        var own = isOfFurther ? null : WithoutName(proxy, name, pattern);
        if (further.Count > 0 && own is not null && own.Split('/')[0] is var first && first.Contains('*', StringComparison.Ordinal)
            && (first != own || own.Contains("**", StringComparison.Ordinal)))
            findings.Errors.Add($"{path}: \"{pattern}\" is not allowed beside proxy.upstreams: names of the default upstream have no "
                + $"registry before them, and \"{own}\" would also match names such as {further[0].PathName}/...; name the first "
                + "component, such as library/*");
        pattern = own ?? pattern;
        return name == DockerHub.Name ? Official(pattern) : pattern;
    }

    private static List<(UpstreamOptions Options, string PathName)> Further(ProxyOptions proxy) =>
        [.. proxy.AllUpstreams().Where(upstream => upstream.Options != proxy)];

    private static string AtUpstream(UpstreamOptions upstream, string name, string pattern)
    {
        pattern = WithoutName(upstream, name, pattern) ?? pattern;
        return name == DockerHub.Name ? Official(pattern) : pattern;
    }

    private static string? WithoutName(UpstreamOptions upstream, string name, string pattern)
    {
        if (pattern.StartsWith($"{name}/", StringComparison.Ordinal))
            return pattern[(name.Length + 1)..];
        // Docker's engines call their registry mirror docker.io, whatever registry it mirrors. But a single upstream other than Docker Hub
        // may have repositories whose names begin so.
        return upstream is ProxyOptions { Upstreams: not [] } || name == DockerHub.Name ? DockerHub.Without(pattern) : null;
    }

    private static string Official(string pattern) =>
        pattern.Contains('/', StringComparison.Ordinal) || pattern.Contains("**", StringComparison.Ordinal) ? pattern : Library + pattern;
}
