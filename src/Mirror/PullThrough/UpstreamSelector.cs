using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// The upstreams that are configured, and no others: the default one, which stands for the names that say no registry, and further ones, whose
/// repositories are named and stored under <c>&lt;name&gt;/</c>.
/// </summary>
public sealed class UpstreamSelector(IReadOnlyList<UpstreamMirror> all)
{
    private readonly UpstreamMirror? _default = all.FirstOrDefault(mirroring => mirroring.Upstream.Origin.Prefix.Length == 0);

    /// <summary>A name as it is stored here: without the default upstream's own name before it, and on Docker Hub with <c>library/</c>.</summary>
    public RepositoryName Stored(RepositoryName name)
    {
        if (_default?.Upstream.Origin is not { } origin)
            return name;
        var text = name.ToString();
        // Engines call whatever stands behind registry-mirrors docker.io.
        text = Without(origin.Name, text) ?? (FindNamed(text) is null ? Without("docker.io", text) : null) ?? text;
        if (origin.IsDockerHub && !text.Contains('/'))
            text = $"library/{text}";
        return RepositoryName.TryParse(text, out var stored) ? stored : name;
    }

    /// <summary>The upstream of a stored name; null where none is configured for it, and nobody is asked.</summary>
    public UpstreamMirror? Find(RepositoryName stored)
    {
        var text = stored.ToString();
        if (FindNamed(text) is { } named)
            return named;
        // What looks like another registry's name is never sent to this one. A lone private upstream may have dots in its names.
        var isForeign = (all.Count > 1 || _default?.Upstream.Origin.IsDockerHub == true) && text.IndexOf('/') is > 0 and var slash && text.AsSpan(0, slash).Contains('.');
        return isForeign ? null : _default;
    }

    private static string? Without(string host, string name) =>
        name.Length > host.Length + 1 && name[host.Length] == '/' && name.StartsWith(host, StringComparison.Ordinal) ? name[(host.Length + 1)..] : null;

    private UpstreamMirror? FindNamed(string name) =>
        all.FirstOrDefault(mirroring => mirroring.Upstream.Origin.Prefix is { Length: > 0 } prefix && name.StartsWith(prefix, StringComparison.Ordinal) && name.Length > prefix.Length);
}
