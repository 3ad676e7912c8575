using System.Collections.Frozen;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// The configured upstreams. The default upstream (<c>proxy.remoteurl</c>) has the names that do not begin with a registry. Each further
/// upstream (<c>proxy.upstreams</c>) has the names that begin with its own name, such as <c>ghcr.io/</c>, and its repositories are stored
/// under these names.
/// </summary>
/// <param name="anyNs">Whether a registry that is no upstream counts as if the client named none (<c>proxy.any_ns</c>).</param>
public sealed class UpstreamNames(IReadOnlyList<UpstreamOrigin> all, bool anyNs)
{
    private readonly UpstreamOrigin? _default = all.FirstOrDefault(origin => origin.Prefix.Length == 0);
    private readonly UpstreamOrigin? _furtherDockerHub = all.FirstOrDefault(origin => origin.IsDockerHub && origin.Prefix.Length > 0);

    // The only upstream, and not Docker Hub: it may be private, and hold copies under the names of their registries.
    private bool TakesAnyName => all is [{ IsDockerHub: false }];

    /// <summary>
    /// Names of further upstreams that were configured once. Content that is stored below such a name does not belong to the default
    /// upstream. <see cref="FormerUpstreams"/> sets it.
    /// </summary>
    public IReadOnlySet<string> Former { get; set => Volatile.Write(ref field, value); } = FrozenSet<string>.Empty;

    /// <summary>The further upstreams, below whose names repositories are stored.</summary>
    public IEnumerable<string> Further => all.Where(origin => origin.Prefix.Length > 0).Select(origin => origin.Name);

    /// <summary>The names of the configured upstreams, for code that sends no request to them.</summary>
    public static UpstreamNames Of(ProxyOptions proxy) =>
        new([.. proxy.AllUpstreams().Select(upstream => new UpstreamOrigin(upstream.Options, upstream.PathName))], proxy.AnyNs);

    /// <summary>
    /// The name under which a repository is stored: without the default upstream's name; on Docker Hub under <c>docker.io</c>, if
    /// Docker Hub is a further upstream, and with <c>library/</c>. A name of Docker Hub before it means the default upstream, unless this
    /// is the only one and is not Docker Hub: then the name is a part of the repository's name, as it is for registry:2.
    /// </summary>
    public RepositoryName Stored(RepositoryName name)
    {
        var text = name.ToString();
        if (_furtherDockerHub is { } further && DockerHub.Without(text) is { } ofDockerHub)
            text = further.Prefix + Official(ofDockerHub);
        else if (_default is { } origin)
        {
            // Docker's engines call their registry mirror docker.io, whatever registry it mirrors.
            text = Without(origin.Name, text) ?? (TakesAnyName || FindNamed(text) is not null ? null : DockerHub.Without(text)) ?? text;
            if (origin.IsDockerHub)
                text = Official(text);
        }
        return RepositoryName.TryParse(text, out var stored) ? stored : name;

        static string Official(string text) => text.Contains('/', StringComparison.Ordinal) ? text : $"library/{text}";
    }

    /// <summary>
    /// A repository's name with that of the registry before it, as <see cref="Find"/> takes it. Null if the registry is not mirrored. A
    /// registry without an upstream, and a mirror of one registry other than Docker Hub, take a name as it is, whatever registry the client
    /// names, as registry:2 does: clients name the registry of the image, and a private upstream may hold copies from many. The name may
    /// begin with the same registry already: containerd sends both where the path of the mirror's address in its hosts.toml ends with it.
    /// </summary>
    /// <param name="registry">The registry that the client names, compared without regard to case.</param>
    public RepositoryName? Of(string registry, RepositoryName name)
    {
        var host = registry.LastIndexOf(':') is > 0 and var colon ? registry[..colon] : registry;
        var named = all.FirstOrDefault(origin => origin.IsCalled(registry))
            ?? all.FirstOrDefault(origin => origin.IsCalledOnAnyPort(host));
        // Docker's engines call their registry mirror docker.io, whatever registry it mirrors.
        if (named is null && DockerHub.IsName(host))
            named = _default;
        // For a registry that was an upstream once, the server serves the copies, and no image of the same name from another registry.
        if (named is null && host.ToLowerInvariant() is var former && Former.Contains(former))
            return Below($"{former}/", Without(former, name.ToString()));
        if (named is null || named == _default)
            return named is not null || anyNs || all is [] || TakesAnyName ? name : null;
        return Below(
            named.Prefix, Without(named.Name, name.ToString()) ?? (named.IsDockerHub ? DockerHub.Without(name.ToString()) : null));

        RepositoryName? Below(string prefix, string? own) =>
            RepositoryName.TryParse($"{prefix}{own ?? name.ToString()}", out var full) ? full : null;
    }

    /// <summary>The upstream that has this name; null where there is none.</summary>
    /// <param name="registry">Compared without regard to case.</param>
    public UpstreamOrigin? FindCalled(string registry) => all.FirstOrDefault(origin => origin.IsCalled(registry));

    /// <summary>The upstream of a stored name; null where none is configured for the registry that the name begins with.</summary>
    public UpstreamOrigin? Find(RepositoryName stored)
    {
        var text = stored.ToString();
        if (FindNamed(text) is { } named)
            return named;
        // Never ask the default upstream for a name that begins like the name of another registry. If it is the only upstream, and private,
        // its own names may have dots.
        if (text.IndexOf('/') is not (> 0 and var slash))
            return _default;
        var isForeign = !TakesAnyName && text.AsSpan(0, slash).Contains('.')
            || Former is { Count: > 0 } former && former.Contains(text[..slash]);
        return isForeign ? null : _default;
    }

    private static string? Without(string host, string name) =>
        name.Length > host.Length + 1 && name[host.Length] == '/' && name.StartsWith(host, StringComparison.Ordinal)
            ? name[(host.Length + 1)..]
            : null;

    private UpstreamOrigin? FindNamed(string name) =>
        all.FirstOrDefault(origin => origin != _default && Without(origin.Name, name) is not null);
}
