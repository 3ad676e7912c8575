using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Who owns a name: repositories that match <c>hosted.repositories</c> are pushed to here and never looked up upstream; every other one
/// is mirrored and read-only. Without an upstream every name is hosted.
/// </summary>
public sealed class Repositories(HostedOptions hosted, IContentStore content, IReferenceStore references, Manifests manifests, Upstreams upstreams)
{
    private readonly NamePattern[] _hosted = [.. hosted.Repositories.Select(pattern => new NamePattern(pattern))];

    /// <summary>Whether a name may be pushed to.</summary>
    public bool IsHosted(RepositoryName name) => !upstreams.Any || NamePattern.AnyMatches(_hosted, name.ToString());

    /// <summary>The repository a client means; one without any content where the name belongs to a registry that is not configured.</summary>
    public IRepository this[RepositoryName name]
    {
        get
        {
            if (!IsHosted(name))
                name = upstreams.Stored(name);
            return !IsHosted(name) && upstreams.Find(name) is { } mirroring
                ? new MirroredRepository(name, mirroring)
                : new HostedRepository(name, content, references, manifests);
        }
    }
}
