using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Upstream;

namespace Mirror.PullThrough;

// Content that clients pushed while the name was hosted, or through another program.
public sealed partial class MirroredManifests
{
    private async ValueTask<((Digest, Provenance?)? NotCopied, bool StoreAnswered)> FindNotCopiedAsync(
        RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        try
        {
            return (await tags.NotCopiedAsync(name, tag, cancellationToken), true);
        }
        // The store cannot tell: for example, the bucket is away, and the tag came from its local copy.
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            return (null, false);
        }
    }

    // Returns a stored manifest without a provenance record if it was pushed: there is no evidence of a copy, and upstream does not have
    // it. Writes the record in both cases.
    private async Task<Manifest?> FindPushedAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await manifests.FindAsync(name, digest, cancellationToken) is not { } stored)
            return null;
        var isCopy = await evidence.IsNotedAsync(name, digest, cancellationToken);
        try
        {
            isCopy = isCopy || await CopyEvidence.HasManifestAsync(upstream, name, digest, stored.Bytes.Length, cancellationToken);
        }
        catch (UpstreamMissingException)
        {
            // Upstream does not have it.
        }
        try
        {
            await provenance.MarkAsync(name, digest, isCopy ? Provenance.Copied : Provenance.Pushed, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            writes.Failed($"whether {digest} of {name} was pushed", failure, name);
        }
        return isCopy ? null : stored;
    }
}
