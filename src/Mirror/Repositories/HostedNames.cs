using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// Which repositories are hosted: clients push to them, and upstream is never asked for them. These are the ones that
/// <c>hosted.repositories</c> matches; without an upstream, all of them.
/// </summary>
public sealed class HostedNames(MirrorOptions options)
{
    private readonly NamePattern[] _patterns = [.. options.Hosted.Repositories.Select(pattern => new NamePattern(pattern))];

    public bool Contains(RepositoryName name) => !options.Proxy.HasUpstream || NamePattern.AnyMatches(_patterns, name.ToString());
}
