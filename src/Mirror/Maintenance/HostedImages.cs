using System.Runtime.CompilerServices;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>The images of one hosted repository, for <c>mirror verify</c>. Memory grows with the repository, and not with the
/// store.</summary>
/// <param name="damaged">Stored content whose bytes are wrong.</param>
/// <param name="evidence">Tells copies of <c>registry:2</c>, which writes no marks, from pushed content.</param>
internal sealed class HostedImages(
    RepositoryName name, IContentStore content, IReferenceStore references, ISweepStore sweepable, IProvenanceStore provenance,
    CopyEvidence evidence, HashSet<Digest> damaged)
{
    // Images share layers. The store is asked once for each.
    private readonly Dictionary<Digest, bool> _missing = [];
    private readonly Dictionary<Digest, bool> _unlinked = [];
    private readonly HashSet<Digest> _reached = [];
    private DigestSet? _links;

    /// <summary>The images that need damaged content, or content that is not stored or has lost its link to the repository, and those whose
    /// manifest does not show what they need: by tag, then the manifests that no tag leads to. Also the tags that name no
    /// manifest.</summary>
    /// <returns>Each in words, such as <c>local/app:v1 lacks sha256:...</c>.</returns>
    public async IAsyncEnumerable<string> BrokenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var tag in await UnreadableException.SkipAsync(() => references.ListTagsAsync(name, cancellationToken)) ?? [])
        {
            var named = await UnreadableException.SkipAsync(() => references.ResolveTagAsync(name, tag, cancellationToken));
            if (named is null && await UnreadableException.SkipAsync(() => NamesNothingAsync(tag, cancellationToken)))
                yield return $"{name}:{tag} has a damaged link, and names no manifest";
            if (named is { } digest
                && await ProblemAsync(digest, cancellationToken) is { } problem
                // A client may have moved or deleted the tag meanwhile, and a garbage collection then deletes what it named.
                && await references.ResolveTagAsync(name, tag, cancellationToken) == digest)
                yield return $"{name}:{tag}{problem}";
        }

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
            if (await IsMissingAsync(manifest, isManifest: true, cancellationToken)
                || await UnreadableException.SkipAsync(() => IsLostAsync(manifest, isTagged: manifest == image, cancellationToken)))
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
                if (!blob.IsElsewhere
                    && (await IsMissingAsync(blob.Digest, isManifest: false, cancellationToken)
                        || await IsUnlinkedAsync(blob.Digest, cancellationToken) && await IsPushedAsync(manifest, cancellationToken)))
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

    // Without a link the tag names nothing: a push ended before it had set the tag, or a client has deleted it meanwhile.
    private async ValueTask<bool> NamesNothingAsync(string tag, CancellationToken cancellationToken) =>
        await sweepable.HasTagLinkAsync(name, tag, cancellationToken)
        && await references.ResolveTagAsync(name, tag, cancellationToken) is null;

    // Whether the repository has no link to a manifest that it had. A tag names only manifests that the repository had. An index may name
    // others, and the mark of a push tells them apart. It may also name blobs, such as the layers of a cache of BuildKit.
    private async ValueTask<bool> IsLostAsync(Digest manifest, bool isTagged, CancellationToken cancellationToken) =>
        !(await references.FindManifestAsync(name, manifest, cancellationToken)).Linked
        && (isTagged
            ? !await IsCopyAsync(manifest, cancellationToken)
            : await provenance.FindAsync(name, manifest, cancellationToken) == Provenance.Pushed
                && !await references.HasBlobAsync(name, manifest, cancellationToken));

    // Whether the repository may not serve a blob. A pushed manifest needs the links of all its blobs, and the push had to have them.
    private async ValueTask<bool> IsUnlinkedAsync(Digest blob, CancellationToken cancellationToken)
    {
        // A bucket lists many links in the time of one question.
        _links ??= await ListLinksAsync(cancellationToken);
        if (_links.Contains(blob))
            return false;
        if (!_unlinked.TryGetValue(blob, out var isUnlinked))
            _unlinked[blob] = isUnlinked = await UnreadableException.SkipAsync(
                async () => !await references.HasBlobAsync(name, blob, cancellationToken));
        return isUnlinked;
    }

    private async Task<DigestSet> ListLinksAsync(CancellationToken cancellationToken)
    {
        DigestSet links = new();
        await foreach (var (digest, _) in sweepable.ListBlobsAsync(name, cancellationToken))
            links.Add(digest);
        return links;
    }

    private async ValueTask<bool> IsPushedAsync(Digest manifest, CancellationToken cancellationToken) =>
        // An index may list manifests of other repositories.
        (await references.FindManifestAsync(name, manifest, cancellationToken)).Linked && !await IsCopyAsync(manifest, cancellationToken);

    // A mirror stores a part of an image where clients want no more. Content without a mark counts as pushed, unless registry:2 noted that
    // it copied it.
    private async ValueTask<bool> IsCopyAsync(Digest manifest, CancellationToken cancellationToken) =>
        await provenance.FindAsync(name, manifest, cancellationToken) switch
        {
            null => await evidence.IsNotedAsync(name, manifest, cancellationToken),
            var known => known == Provenance.Copied,
        };

    // Whether the repository may serve content that is not stored. What may not be read is reported by itself, and not as missing.
    private async ValueTask<bool> IsMissingAsync(Digest digest, bool isManifest, CancellationToken cancellationToken)
    {
        if (!_missing.TryGetValue(digest, out var isMissing))
            _missing[digest] = isMissing = await UnreadableException.SkipAsync(IsMissing);
        return isMissing;

        async ValueTask<bool> IsMissing() => await content.SizeAsync(digest, cancellationToken) is null
            && (isManifest && (await references.FindManifestAsync(name, digest, cancellationToken)).Linked
                || await references.HasBlobAsync(name, digest, cancellationToken));
    }
}
