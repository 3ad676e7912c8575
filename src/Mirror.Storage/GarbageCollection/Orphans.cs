using System.Runtime.CompilerServices;
using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Repositories with content that clients pushed while the settings allowed it, and to which clients can no longer push: a pattern of
/// hosted repositories was changed, or a registry became a mirror. Nothing that runs by itself deletes this content.
/// </summary>
public sealed class Orphans(IReferenceStore references, IProvenanceStore provenance)
{
    /// <summary>The orphaned repositories, in no particular order.</summary>
    /// <param name="isHosted">Whether clients may push to a repository.</param>
    public async IAsyncEnumerable<RepositoryName> ListAsync(
        Func<RepositoryName, bool> isHosted,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var name in provenance.ListPushedAsync(cancellationToken))
            if (!isHosted(name))
                yield return name;
    }

    /// <summary>
    /// Gives up what was pushed to a repository: removes its tags and links. The next sweep deletes the content that nothing else names.
    /// </summary>
    public async Task ReleaseAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        HashSet<Digest> pushed = [];
        await foreach (var digest in provenance.ListAsync(name, Provenance.Pushed, cancellationToken))
            pushed.Add(digest);

        // What was copied as well is an ordinary copy from now on.
        HashSet<Digest> copied = [];
        await foreach (var digest in provenance.ListAsync(name, Provenance.Copied, cancellationToken))
            copied.Add(digest);

        foreach (var tag in await references.ListTagsAsync(name, cancellationToken))
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } named
                && pushed.Contains(named) && !copied.Contains(named))
                await references.DeleteTagAsync(name, tag, cancellationToken);
        foreach (var digest in pushed)
        {
            if (!copied.Contains(digest))
            {
                await references.UnlinkManifestAsync(name, digest, cancellationToken);
                await references.UnlinkBlobAsync(name, digest, cancellationToken);
            }
            // Last: a release that is cut off can be done again.
            await provenance.ForgetAsync(name, digest, Provenance.Pushed, cancellationToken);
        }
    }
}
