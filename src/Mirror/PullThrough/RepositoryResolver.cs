using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>Decides whether a name means a hosted repository, which clients push to, or a mirrored one, which is read-only.</summary>
public sealed class RepositoryResolver(HostedNames hosted, HostedStores stores, UpstreamSelector upstreams)
{
    /// <summary>Whether clients may push to a name.</summary>
    public bool IsHosted(RepositoryName name) => hosted.Contains(name);

    /// <summary>Whether the content of a repository can be fetched again, by the name it is stored under.</summary>
    public bool IsMirrored(RepositoryName stored) => !IsHosted(stored) && upstreams.Names.Find(stored) is not null;

    /// <summary>Whether clients may push to a name that an upstream has as well. Upstream is not asked for it.</summary>
    public bool IsTakenOver(RepositoryName stored) => IsHosted(stored) && upstreams.Names.Find(stored) is not null;

    /// <summary>The repository to push to; null where the name is mirrored, and therefore read-only.</summary>
    public HostedRepository? Hosted(RepositoryName name) => IsHosted(name = Stored(name)) ? new HostedRepository(name, stores) : null;

    /// <summary>The repository that a client names. It has no content if the name belongs to a registry that is not configured.</summary>
    public IRepository this[RepositoryName name] => !IsHosted(name = Stored(name)) && upstreams.Find(name) is { } mirror
        ? new MirroredRepository(name, mirror)
        : new HostedRepository(name, stores);

    /// <summary>The repository that a client means by a name and the registry beside it (the parameter <c>ns</c>).</summary>
    /// <param name="registry">A host, with or without a port; null if the client names none. It does not matter for a hosted name.</param>
    /// <returns>Null if this server does not mirror the registry.</returns>
    public IRepository? Find(string? registry, RepositoryName name) =>
        registry is null || IsHosted(Stored(name)) ? this[name] : upstreams.Names.Of(registry, name) is { } full ? this[full] : null;

    private RepositoryName Stored(RepositoryName name) => IsHosted(name) ? name : upstreams.Names.Stored(name);
}
