using System.Runtime.CompilerServices;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>The images of one hosted repository, for <c>mirror verify</c>. Memory grows with the repository, and not with the
/// store.</summary>
/// <param name="damaged">Stored content whose bytes are wrong.</param>
internal sealed class HostedImages(
    RepositoryName name, IContentStore content, IReferenceStore references, ISweepStore sweepable, HashSet<Digest> damaged)
{
    // Images share layers. The store is asked once for each.
    private readonly Dictionary<Digest, bool> _missing = [];
    private readonly HashSet<Digest> _reached = [];

    /// <summary>The images that need damaged content, or content that the repository may serve and that is not stored, and those whose
    /// manifest does not show what they need: by tag, then the manifests that no tag leads to.</summary>
    /// <returns>Each in words, such as <c>local/app:v1 lacks sha256:...</c>.</returns>
    public async IAsyncEnumerable<string> BrokenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var tag in await references.ListTagsAsync(name, cancellationToken))
            if (await UnreadableException.SkipAsync(() => references.ResolveTagAsync(name, tag, cancellationToken)) is { } digest
                && await ProblemAsync(digest, cancellationToken) is { } problem
                // A client may have moved or deleted the tag meanwhile, and a garbage collection then deletes what it named.
                && await references.ResolveTagAsync(name, tag, cancellationToken) == digest)
                yield return $"{name}:{tag}{problem}";

        // An index and its children are listed once.
        List<Digest> untagged = [];
        await foreach (var (digest, _) in sweepable.ListManifestsAsync(name, cancellationToken))
            if (!_reached.Contains(digest))
                untagged.Add(digest);
        foreach (var digest in untagged)
            if (!_reached.Contains(digest) && await ProblemAsync(digest, cancellationToken) is { } problem
                && (await references.FindManifestAsync(name, digest, cancellationToken)).Linked)
                yield return $"{name}@{digest}{problem}";
    }

    // What is wrong with an image, in words; null if it is whole.
    private async Task<string?> ProblemAsync(Digest image, CancellationToken cancellationToken)
    {
        HashSet<Digest> seen = [image];
        Queue<Digest> manifests = new(seen);
        List<Digest> lacking = [];
        var (isDamaged, isUnreadable) = (false, false);
        while (manifests.TryDequeue(out var manifest))
        {
            _reached.Add(manifest);
            isDamaged |= damaged.Contains(manifest);
            var (state, bytes) = await UnreadableException.SkipAsync(
                () => content.ReadAllAsync(manifest, Manifest.MaxBytes, cancellationToken));
            if (await IsMissingAsync(manifest, isManifest: true, cancellationToken))
                lacking.Add(manifest);
            var named = ManifestDocument.Read(bytes);
            // An index may list any content, such as layers.
            isUnreadable |= manifest == image && state == Verification.Intact
                && named is null or { HidesNames: true };
            if (named is null)
                continue;
            foreach (var blob in named.Blobs.Where(blob => seen.Add(blob.Digest)))
            {
                isDamaged |= damaged.Contains(blob.Digest);
                if (!blob.IsElsewhere && await IsMissingAsync(blob.Digest, isManifest: false, cancellationToken))
                    lacking.Add(blob.Digest);
            }
            foreach (var child in named.Manifests.Select(entry => entry.Digest).Where(seen.Add))
                manifests.Enqueue(child);
        }
        return lacking switch
        {
            [] when isDamaged => "",
            [] => isUnreadable ? " has a manifest that is not valid JSON, or in which not every digest can be read" : null,
            [var only] => $" lacks {only}",
            [var first, ..] => $" lacks {first} and {lacking.Count - 1} more",
        };
    }

    // Whether the repository may serve content that is not stored. What may not be read is reported by itself, and not as missing.
    private async ValueTask<bool> IsMissingAsync(Digest digest, bool isManifest, CancellationToken cancellationToken)
    {
        if (!_missing.TryGetValue(digest, out var isMissing))
            _missing[digest] = isMissing = await UnreadableException.SkipAsync(IsMissing);
        return isMissing;

        async ValueTask<bool> IsMissing() => await content.SizeAsync(digest, cancellationToken) is null
            && (isManifest
                ? (await references.FindManifestAsync(name, digest, cancellationToken)).Linked
                : await references.HasBlobAsync(name, digest, cancellationToken));
    }
}
