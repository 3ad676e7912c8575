using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Who owns a name: repositories that match <c>hosted.repositories</c> are pushed to here and never looked up upstream; every other one
/// is mirrored and read-only. Without an upstream every name is hosted.
/// </summary>
public sealed class RepositoryResolver(HostedOptions hosted, HostedStores hosting, UpstreamSelector upstreams)
{
    private readonly NamePattern[] _hosted = [.. hosted.Repositories.Select(pattern => new NamePattern(pattern))];

    /// <summary>Whether a name may be pushed to.</summary>
    public bool IsHosted(RepositoryName name) => !upstreams.Any || NamePattern.AnyMatches(_hosted, name.ToString());

    /// <summary>Whether what a repository has can be fetched again, by the name it is stored under.</summary>
    public bool IsMirrored(RepositoryName stored) => !IsHosted(stored) && upstreams.Find(stored) is not null;

    /// <summary>The repository to push to; null where the name is mirrored, and therefore read-only.</summary>
    public HostedRepository? Hosted(RepositoryName name) => IsHosted(name = Stored(name)) ? new HostedRepository(name, hosting) : null;

    /// <summary>The repository a client means; one without any content where the name belongs to a registry that is not configured.</summary>
    public IRepository this[RepositoryName name] =>
        !IsHosted(name = Stored(name)) && upstreams.Find(name) is { } mirroring ? new MirroredRepository(name, mirroring) : new HostedRepository(name, hosting);

    private RepositoryName Stored(RepositoryName name) => IsHosted(name) ? name : upstreams.Stored(name);
}
