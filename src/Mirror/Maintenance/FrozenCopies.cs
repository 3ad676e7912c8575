using System.Runtime.CompilerServices;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>
/// Repositories with copies from upstream that <c>hosted.repositories</c> has come to match. The server serves their tags as pushed ones,
/// and asks upstream for them no more.
/// </summary>
public sealed class FrozenCopies(IReferenceStore references, IProvenanceStore provenance, RepositoryResolver repositories)
{
    /// <summary>The repositories with a tag that names a copy, in no particular order.</summary>
    public async IAsyncEnumerable<RepositoryName> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var name in references.ListRepositoriesAsync(cancellationToken))
            if (repositories.IsTakenOver(name) && await HasCopyAsync(name, cancellationToken))
                yield return name;
    }

    private async ValueTask<bool> HasCopyAsync(RepositoryName name, CancellationToken stop)
    {
        var copied = await provenance.ListAsync(name, Provenance.Copied, stop).ToHashSetAsync(cancellationToken: stop);
        if (copied.Count == 0)
            return false;
        await foreach (var pushed in provenance.ListAsync(name, Provenance.Pushed, stop))
            copied.Remove(pushed);
        foreach (var tag in await references.ListTagsAsync(name, stop))
            if (await references.ResolveTagAsync(name, tag, stop) is { } named && copied.Contains(named))
                return true;
        return false;
    }
}
