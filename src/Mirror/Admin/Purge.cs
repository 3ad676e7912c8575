using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>What a purge removed, or would remove.</summary>
/// <param name="Bytes">What is free on the disk afterwards; null where a garbage collection has to free it later.</param>
/// <param name="Kept">Why something stays, in words.</param>
public sealed record Purged(
    RepositoryName Name, IReadOnlyList<string> Tags, IReadOnlyList<Digest> Manifests, IReadOnlyList<Digest> Blobs, long? Bytes,
    IReadOnlyList<string> Kept);

/// <summary>
/// Removes images of mirrored repositories: tags, their manifests, and the layers that no other image needs. What was pushed stays. What is
/// removed can be fetched again.
/// </summary>
public sealed class Purge(
    RepositoryResolver repositories, ImageReader reader, IReferenceStore references, IProvenanceStore provenance, ISweepStore store,
    IPinStore pins,
    [FromKeyedServices(CheckedContentStore.Unchecked)] IContentStore content)
{
    // Not 403: no other login may do it either.
    private static readonly RegistryError NotPurged = new("DENIED", 409, "this cannot be purged");

    private readonly ISweepStore _store = store.ForEvictions;

    /// <summary>Removes one image, or all that a repository has from upstream.</summary>
    /// <param name="image">A repository alone stands for all that it has. A digest removes no manifest that a tag leads to.</param>
    /// <param name="dryRun">Only says what would be removed.</param>
    /// <exception cref="RegistryException">The repository is not mirrored, has no such tag or manifest, or the tag is pinned.</exception>
    public async Task<Purged> RunAsync(ImageName image, bool dryRun, CancellationToken cancellationToken)
    {
        var name = image.Name;
        if (!repositories.IsMirrored(name))
            throw new RegistryException(
                NotPurged, $"{name} is not mirrored: clients push to it, so what it has cannot be fetched again");
        var plan = await PlanAsync(image, cancellationToken);
        if (!dryRun)
        {
            var repository = repositories[name];
            foreach (var tag in plan.Tags)
                await repository.DeleteTagAsync(tag, condition: null, cancellationToken);
            foreach (var manifest in plan.Manifests)
                await repository.DeleteManifestAsync(manifest, condition: null, cancellationToken);
            foreach (var blob in plan.Blobs)
                await repository.DeleteBlobAsync(blob, cancellationToken);
        }
        return plan with { Bytes = await FreeAsync(name, [.. plan.Manifests, .. plan.Blobs], dryRun, cancellationToken) };
    }

    private async Task<Purged> PlanAsync(ImageName image, CancellationToken stop)
    {
        var name = image.Name;
        // 1. What the repository has.
        var manifests = await reader.ManifestsAsync(name, stop);
        var blobs = await reader.BlobsAsync(name, stop);
        Dictionary<string, Digest> tags = [];
        foreach (var each in await references.ListTagsAsync(name, stop))
            if (await references.ResolveTagAsync(name, each, stop) is { } digest)
                tags[each] = digest;
        var only = image.Reference;
        var root = default(Digest);
        List<string> gone = only is not { } one ? [.. tags.Keys.Order(StringComparer.Ordinal)]
            : one.IsTag(out var tag, out root) ? [tag]
            : [];
        if (only is null ? manifests.Count + blobs.Count + tags.Count == 0
            : gone is [var named] ? !tags.TryGetValue(named, out root)
            : !manifests.Contains(root))
            throw new RegistryException(
                RegistryError.ManifestUnknown, only is null ? $"nothing of {name} is stored" : $"{image} is not stored");

        foreach (var each in gone)
            if (await pins.IsPinnedAsync(name, each, stop))
                throw new RegistryException(NotPurged, $"{name}:{each} is pinned: take the pin away first (mirror unpin)");

        // 2. What is to go: the image with its children. All the rest stays, with what it needs.
        List<string> kept = [];
        foreach (var each in gone.ToList())
            if (manifests.Contains(tags[each]) && await provenance.FindAsync(name, tags[each], stop) != Provenance.Copied)
            {
                gone.Remove(each);
                kept.Add($"tag {each}: its image was pushed here, or may have been");
            }
        HashSet<Digest> removed = only is null ? [.. manifests] : [.. (await reader.TreeAsync(root, manifests, stop)).Keys];
        foreach (var digest in removed.ToList())
            if (await provenance.FindAsync(name, digest, stop) != Provenance.Copied)
            {
                removed.Remove(digest);
                kept.Add($"manifest {digest}: it was pushed here, or may have been");
            }
        HashSet<Digest> needed = [];
        foreach (var other in manifests.Except(removed).Concat(tags.Where(each => !gone.Contains(each.Key)).Select(each => each.Value)))
            foreach (var (digest, (document, _)) in await reader.TreeAsync(other, manifests, stop))
            {
                if (removed.Remove(digest))
                    kept.Add($"manifest {digest}: another image of {name} needs it");
                needed.UnionWith(document.Blobs.Select(blob => blob.Digest));
            }

        // 3. Of the layers, those that only these manifests need.
        HashSet<Digest> layers = only is null ? blobs : [];
        if (only is not null)
            foreach (var digest in removed)
                if ((await reader.TreeAsync(digest, manifests, stop)).TryGetValue(digest, out var read))
                    layers.UnionWith(read.Document.Blobs.Select(blob => blob.Digest).Where(blobs.Contains));
        List<Digest> free = [];
        foreach (var digest in layers)
            if (needed.Contains(digest))
                kept.Add($"layer {digest}: another image of {name} needs it");
            else if (await provenance.FindAsync(name, digest, stop) != Provenance.Copied)
                kept.Add($"layer {digest}: it was pushed here, or may have been");
            else
                free.Add(digest);
        return new Purged(name, gone, [.. removed], free, null, kept);
    }

    // Deletes the content that no repository has any longer. What a client has touched since this began stays.
    private async Task<long?> FreeAsync(RepositoryName purged, List<Digest> digests, bool dryRun, CancellationToken stop)
    {
        await using var run = dryRun ? await _store.BeginTrialAsync(stop) : await _store.BeginAsync(stop);
        if (run is null)
            return null;
        HashSet<Digest> unused = [.. digests];
        await foreach (var name in references.ListRepositoriesAsync(stop))
            if (name != purged)
                foreach (var digest in unused.ToList())
                    if (await IsLinkedAsync(name, digest, stop))
                        unused.Remove(digest);
        // A repository in a folder that cannot be read may have any of it.
        if (await _store.UnreadableAsync(stop) is not null)
            return null;
        var bytes = 0L;
        foreach (var digest in unused)
            bytes += (dryRun
                ? await content.SizeAsync(digest, stop)
                : await IsLinkedAsync(purged, digest, stop) ? null : await _store.SweepContentAsync(digest, run.Began, stop)) ?? 0;
        return bytes;
    }

    // A client may have fetched it again since.
    private async ValueTask<bool> IsLinkedAsync(RepositoryName name, Digest digest, CancellationToken stop) =>
        await references.HasBlobAsync(name, digest, stop) || (await references.FindManifestAsync(name, digest, stop)).Linked;
}
