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

    /// <summary>The images that need damaged content, or content that the repository may serve and that is not stored: by tag, then the
    /// manifests that no tag leads to.</summary>
    /// <returns>Each in words, such as <c>local/app:v1 lacks sha256:...</c>.</returns>
    public async IAsyncEnumerable<string> BrokenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var tag in await references.ListTagsAsync(name, cancellationToken))
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } digest
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
        var isDamaged = false;
        while (manifests.TryDequeue(out var manifest))
        {
            _reached.Add(manifest);
            isDamaged |= damaged.Contains(manifest);
            var (_, bytes) = await content.ReadAllAsync(manifest, Manifest.MaxBytes, cancellationToken);
            if (await IsMissingAsync(manifest, isManifest: true, cancellationToken))
                lacking.Add(manifest);
            if (ManifestDocument.Read(bytes) is not { } named)
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
            [] => isDamaged ? "" : null,
            [var only] => $" lacks {only}",
            [var first, ..] => $" lacks {first} and {lacking.Count - 1} more",
        };
    }

    // Whether the repository may serve content that is not stored.
    private async ValueTask<bool> IsMissingAsync(Digest digest, bool isManifest, CancellationToken cancellationToken)
    {
        if (!_missing.TryGetValue(digest, out var isMissing))
            _missing[digest] = isMissing = await content.SizeAsync(digest, cancellationToken) is null
                && (isManifest
                    ? (await references.FindManifestAsync(name, digest, cancellationToken)).Linked
                    : await references.HasBlobAsync(name, digest, cancellationToken));
        return isMissing;
    }
}
