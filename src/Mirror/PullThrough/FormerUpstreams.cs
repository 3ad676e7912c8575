using System.Collections.Frozen;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.PullThrough;

/// <summary>
/// The upstreams of <c>proxy.upstreams</c> that a store has had. The store has a note for each one. So copies from an upstream that is no
/// longer configured do not count as copies from the default upstream, which may have repositories of the same names.
/// </summary>
public sealed class FormerUpstreams(IDateStore dates, UpstreamNames names, TimeProvider time)
{
    /// <summary>Reads the names, for <see cref="UpstreamNames.Former"/>.</summary>
    /// <returns>The names of all further upstreams that the store has noted.</returns>
    /// <exception cref="IOException">The store is away; also as <see cref="UnauthorizedAccessException"/>.</exception>
    public async Task<IReadOnlySet<string>> ReadAsync(CancellationToken cancellationToken)
    {
        HashSet<string> noted = [];
        await foreach (var path in dates.ListAsync(RegistryLayout.Upstreams, cancellationToken))
            if (RegistryLayout.UpstreamFirstConfigured(path) is { } upstream)
                noted.Add(upstream.ToString());
        names.Former = noted.Except(names.Further).ToFrozenSet();
        return noted;
    }

    /// <summary>Notes the further upstreams that are configured.</summary>
    /// <param name="noted">From <see cref="ReadAsync"/>.</param>
    /// <exception cref="IOException">The store takes no writes; also as <see cref="UnauthorizedAccessException"/>.</exception>
    public async Task NoteAsync(IReadOnlySet<string> noted, CancellationToken cancellationToken)
    {
        foreach (var upstream in names.Further.Where(name => !noted.Contains(name)))
            if (RepositoryName.TryParse(upstream, out var first))
                await dates.WriteAsync(RegistryLayout.FirstConfigured(first), time.GetUtcNow(), cancellationToken);
    }

    /// <summary>Forgets the former upstreams whose copies are all gone. The default upstream has their names again.</summary>
    /// <param name="kept">The repositories without an upstream that have content.</param>
    /// <exception cref="IOException">The store takes no writes; also as <see cref="UnauthorizedAccessException"/>.</exception>
    public async Task ForgetAsync(IReadOnlyCollection<RepositoryName> kept, CancellationToken cancellationToken)
    {
        foreach (var upstream in names.Former)
            if (!kept.Any(name => name.ToString().StartsWith(upstream + "/", StringComparison.Ordinal)))
                await dates.DeleteAsync(RegistryLayout.FirstConfigured(RepositoryName.Parse(upstream)), cancellationToken);
    }
}
