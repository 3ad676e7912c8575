using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Upstream;

namespace Mirror.PullThrough;

// What clients pushed while the name was hosted, or through another program.
public sealed partial class MirroredManifests
{
    private async ValueTask<((Digest, Provenance?)? NotCopied, bool IsKnown)> FindNotCopiedAsync(
        RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        try
        {
            return (await tags.NotCopiedAsync(name, tag, cancellationToken), true);
        }
        // A bucket that is away, whose tags are known from their local copies.
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            return (null, false);
        }
    }

    // A stored manifest without a mark, if it was pushed: another program noted no copy, and upstream has none. Marks it either way.
    private async Task<Manifest?> FindPushedAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await manifests.FindAsync(name, digest, cancellationToken) is not { } stored)
            return null;
        var isCopy = await evidence.IsNotedAsync(name, digest, cancellationToken);
        try
        {
            isCopy = isCopy || await CopyEvidence.HasManifestAsync(upstream, name, digest, cancellationToken);
        }
        catch (UpstreamRefusedException)
        {
            // Upstream does not have it.
        }
        try
        {
            await provenance.MarkAsync(name, digest, isCopy ? Provenance.Copied : Provenance.Pushed, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            writes.Failed($"whether {digest} of {name} was pushed", failure);
        }
        return isCopy ? null : stored;
    }
}
