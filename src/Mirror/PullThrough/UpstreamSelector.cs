using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>The configured upstreams with all their parts.</summary>
/// <param name="anyNs">Whether a registry that is no upstream counts as if the client named none (<c>proxy.any_ns</c>).</param>
public sealed class UpstreamSelector(UpstreamMirror[] all, bool anyNs)
{
    /// <summary>All upstreams, in the order of the configuration.</summary>
    public IReadOnlyList<UpstreamMirror> All => all;

    /// <summary>What each upstream is called.</summary>
    public UpstreamNames Names { get; } = new([.. all.Select(mirror => mirror.Upstream.Origin)], anyNs);

    /// <summary>The upstream of a stored name; null where none is configured for the registry that the name begins with.</summary>
    public UpstreamMirror? Find(RepositoryName stored)
    {
        if (Names.Find(stored) is { } origin)
            foreach (var mirror in all)
                if (mirror.Upstream.Origin == origin)
                    return mirror;
        return null;
    }
}
