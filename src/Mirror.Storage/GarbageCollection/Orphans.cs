using System.Runtime.CompilerServices;
using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>A repository with content that the settings have orphaned.</summary>
/// <param name="IsPushed">Whether clients pushed it; else it was copied from an upstream that is no longer configured.</param>
public readonly record struct Orphan(RepositoryName Name, bool IsPushed);

/// <summary>
/// Repositories with content that a changed setting has orphaned. Either clients pushed it, and can no longer push to that name: a pattern
/// of hosted repositories was changed, or a registry became a mirror. Or its upstream was removed from the settings, or renamed. Only an
/// operator's command deletes this content.
/// </summary>
public sealed class Orphans(IReferenceStore references, ISweepStore store, IProvenanceStore provenance)
{
    /// <summary>The orphaned repositories, in no particular order.</summary>
    /// <param name="isHosted">Whether clients may push to a repository.</param>
    /// <param name="isMirrored">Whether an upstream is configured for a repository.</param>
    public async IAsyncEnumerable<Orphan> ListAsync(
        Func<RepositoryName, bool> isHosted, Func<RepositoryName, bool> isMirrored,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        HashSet<RepositoryName> pushed = [];
        await foreach (var name in provenance.ListPushedAsync(cancellationToken))
            if (!isHosted(name) && pushed.Add(name))
                yield return new Orphan(name, IsPushed: true);
        await foreach (var name in references.ListRepositoriesAsync(cancellationToken))
            if (!isHosted(name) && !isMirrored(name) && !pushed.Contains(name)
                && await LinksAsync(name, cancellationToken).AnyAsync(cancellationToken))
                yield return new Orphan(name, IsPushed: false);
    }

    /// <summary>
    /// Gives up the orphaned content of a repository: removes its tags and links. A sweep deletes content that nothing else names.
    /// </summary>
    /// <param name="isMirrored">Whether an upstream is configured for the repository. Then its copies stay.</param>
    public async Task ReleaseAsync(RepositoryName name, bool isMirrored, CancellationToken cancellationToken)
    {
        var released = await ReleasedAsync(name, isMirrored, cancellationToken);
        foreach (var tag in await references.ListTagsAsync(name, cancellationToken))
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } named && released.Contains(named))
                await references.DeleteTagAsync(name, tag, cancellationToken);
        foreach (var digest in released)
        {
            await provenance.ForgetAsync(name, digest, Provenance.Copied, cancellationToken);
            await references.UnlinkManifestAsync(name, digest, cancellationToken);
            await references.UnlinkBlobAsync(name, digest, cancellationToken);
        }
        // This comes last, so that an interrupted release can be repeated.
        foreach (var digest in await MarkedAsync(name, Provenance.Pushed, cancellationToken))
            await provenance.ForgetAsync(name, digest, Provenance.Pushed, cancellationToken);
    }

    /// <summary>What <see cref="ReleaseAsync"/> would remove from a repository.</summary>
    public async Task<IReadOnlySet<Digest>> ReleasedAsync(RepositoryName name, bool isMirrored, CancellationToken cancellationToken)
    {
        var released = await MarkedAsync(name, Provenance.Pushed, cancellationToken);
        if (isMirrored)
            // Content that was also copied is an ordinary copy from now on.
            released.ExceptWith(await MarkedAsync(name, Provenance.Copied, cancellationToken));
        else
            await foreach (var digest in LinksAsync(name, cancellationToken))
                released.Add(digest);
        return released;
    }

    private IAsyncEnumerable<Digest> LinksAsync(RepositoryName name, CancellationToken stop) =>
        store.ListManifestsAsync(name, stop).Concat(store.ListBlobsAsync(name, stop)).Select(link => link.Digest);

    private ValueTask<HashSet<Digest>> MarkedAsync(RepositoryName name, Provenance mark, CancellationToken stop) =>
        provenance.ListAsync(name, mark, stop).ToHashSetAsync(cancellationToken: stop);
}
