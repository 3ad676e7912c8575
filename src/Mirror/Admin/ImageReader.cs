using System.Runtime.CompilerServices;
using System.Text.Json;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>An image: a tag, what it names, its platforms' manifests and their layers, as far as they are stored.</summary>
/// <param name="Reference">The tag; the digest of a manifest that no tag leads to, such as one that clients pull by digest only.</param>
/// <param name="Platforms">Those of which the manifest is stored, such as <c>linux/amd64</c>.</param>
/// <param name="Parts">Manifests, configs and layers that the repository has stored, each once, with its length in bytes.</param>
/// <param name="IsWhole">Whether all is stored that the stored manifests need.</param>
public sealed record StoredImage(
    RepositoryName Name, Reference Reference, Digest Digest, IReadOnlyList<string> Platforms, IReadOnlyDictionary<Digest, long> Parts,
    bool IsWhole);

/// <summary>Reads images out of the store.</summary>
public sealed class ImageReader(
    [FromKeyedServices(CheckedContentStore.Unchecked)] IContentStore content, IReferenceStore references, ISweepStore links,
    IBucket? bucket = null)
{
    // A config has a few KB. One with a long history may have more, and a longer one is another kind of artifact.
    private const int MaxConfig = 256 << 10;

    // So many bytes of one repository's manifests are kept while they are read: several tags lead to a manifest, and one without a tag is
    // looked at twice.
    private const int MaxKept = 16 << 20;

    // 32 TiB. What a manifest claims beyond it is a lie, which must not make the sums of the index overflow.
    private const long MaxClaimed = 1L << 45;

    /// <summary>The images of a repository: by tag, then those that no tag leads to. Of content only manifests and configs are
    /// read.</summary>
    public async IAsyncEnumerable<StoredImage> ReadAsync(
        RepositoryName name, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var blobs = await StoredBlobsAsync(name, cancellationToken);
        var manifests = await ManifestsAsync(name, cancellationToken);
        var untagged = manifests.ToHashSet();
        var kept = new Kept();
        foreach (var tag in await UnreadableException.SkipAsync(() => references.ListTagsAsync(name, cancellationToken)) ?? [])
            if (await UnreadableException.SkipAsync(() => references.ResolveTagAsync(name, tag, cancellationToken)) is { } digest)
            {
                var tree = await TreeAsync(digest, manifests, kept, cancellationToken);
                untagged.ExceptWith(tree.Keys);
                yield return await ReadAsync(name, Reference.Parse(tag), digest, tree, blobs, cancellationToken);
            }
        kept = new();
        foreach (var digest in await RootsAsync(untagged, manifests, kept, cancellationToken))
            yield return await ReadAsync(
                name, digest, digest, await TreeAsync(digest, manifests, kept, cancellationToken), blobs, cancellationToken);
    }

    /// <summary>The manifests that a repository may serve.</summary>
    public ValueTask<HashSet<Digest>> ManifestsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        DigestsAsync(links.ListManifestsAsync(name, cancellationToken), cancellationToken);

    /// <summary>The blobs that a repository may serve.</summary>
    public ValueTask<HashSet<Digest>> BlobsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        DigestsAsync(links.ListBlobsAsync(name, cancellationToken), cancellationToken);

    // Of a folder, with their lengths. A bucket would cost a request for each blob: there the links alone count, and no length is known.
    private async ValueTask<Dictionary<Digest, long?>> StoredBlobsAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        var blobs = (await BlobsAsync(name, cancellationToken)).ToDictionary(digest => digest, _ => (long?)null);
        if (bucket is null)
            foreach (var digest in blobs.Keys.ToList())
                if (await UnreadableException.SkipAsync(() => content.SizeAsync(digest, cancellationToken)) is { } length)
                    blobs[digest] = length;
                else
                    blobs.Remove(digest);
        return blobs;
    }

    /// <summary>The manifests that a manifest leads to, itself among them, as far as they are stored: what they say, and their
    /// lengths.</summary>
    /// <param name="stored">The manifests of the repository.</param>
    public ValueTask<Dictionary<Digest, (ManifestDocument Document, int Length)>> TreeAsync(
        Digest root, IReadOnlySet<Digest> stored, CancellationToken cancellationToken) =>
        TreeAsync(root, stored, new Kept(), cancellationToken);

    private async ValueTask<Dictionary<Digest, (ManifestDocument Document, int Length)>> TreeAsync(
        Digest root, IReadOnlySet<Digest> stored, Kept kept, CancellationToken cancellationToken)
    {
        Dictionary<Digest, (ManifestDocument, int)> tree = [];
        Stack<Digest> pending = new([root]);
        while (pending.TryPop(out var digest))
        {
            if (tree.ContainsKey(digest) || !stored.Contains(digest)
                || await DocumentAsync(digest, kept, cancellationToken) is not var (document, length))
                continue;
            tree[digest] = (document, length);
            foreach (var child in document.Manifests)
                pending.Push(child.Digest);
        }
        return tree;
    }

    // Without the manifests that others lead to: those of an index, and referrers, such as a signature of a stored image.
    private async ValueTask<HashSet<Digest>> RootsAsync(
        HashSet<Digest> untagged, HashSet<Digest> stored, Kept kept, CancellationToken cancellationToken)
    {
        var roots = untagged.ToHashSet();
        foreach (var digest in untagged)
            if (await DocumentAsync(digest, kept, cancellationToken) is not var (document, _)
                || document.Subject is { } subject && stored.Contains(subject))
                roots.Remove(digest);
            else
                roots.ExceptWith(document.Manifests.Select(child => child.Digest).Where(child => child != digest));
        return roots;
    }

    private async ValueTask<(ManifestDocument Document, int Length)?> DocumentAsync(
        Digest manifest, Kept kept, CancellationToken cancellationToken)
    {
        if (kept.Documents.TryGetValue(manifest, out var known))
            return known;
        if ((await UnreadableException.SkipAsync(() => content.ReadAllAsync(manifest, Manifest.MaxBytes, cancellationToken)))
                .Bytes is not { } bytes
            || ManifestDocument.Read(bytes) is not { } document)
            return null;
        if ((kept.Bytes += bytes.Length) <= MaxKept)
            kept.Documents[manifest] = (document, bytes.Length);
        return (document, bytes.Length);
    }

    private async ValueTask<StoredImage> ReadAsync(
        RepositoryName name, Reference reference, Digest root, Dictionary<Digest, (ManifestDocument Document, int Length)> tree,
        Dictionary<Digest, long?> blobs, CancellationToken cancellationToken)
    {
        Dictionary<Digest, long> parts = [];
        SortedSet<string> platforms = new(StringComparer.Ordinal);
        var isWhole = tree.ContainsKey(root);
        foreach (var (digest, (document, length)) in tree)
        {
            parts[digest] = length;
            foreach (var child in document.Manifests)
                // What describes an image, such as its provenance, is listed as an image for an unknown platform.
                if (child.Platform is { Os: { } os, Architecture: { } architecture } && os != "unknown" && tree.ContainsKey(child.Digest))
                    platforms.Add($"{os}/{architecture}");
            foreach (var blob in document.Blobs)
                if (blobs.TryGetValue(blob.Digest, out var stored))
                    parts[blob.Digest] = stored ?? Math.Min(blob.Size ?? 0, MaxClaimed);
                else
                    isWhole &= blob.IsElsewhere;
            if (digest == root && !document.IsIndex && document.Config is { } config
                && blobs.ContainsKey(config.Digest) && await PlatformAsync(config.Digest, cancellationToken) is { } platform)
                platforms.Add(platform);
        }
        return new(name, reference, root, [.. platforms], parts, isWhole);
    }

    private static ValueTask<HashSet<Digest>> DigestsAsync(
        IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> links, CancellationToken cancellationToken) =>
        links.Select(link => link.Digest).ToHashSetAsync(cancellationToken: cancellationToken);

    /// <summary>The platform that a stored config names, such as <c>linux/amd64</c>; null if it names none.</summary>
    public async ValueTask<string?> PlatformAsync(Digest config, CancellationToken cancellationToken)
    {
        if ((await UnreadableException.SkipAsync(() => content.ReadAllAsync(config, MaxConfig, cancellationToken))).Bytes is not { } bytes)
            return null;
        try
        {
            using var json = JsonDocument.Parse(bytes);
            return json.RootElement.ValueKind == JsonValueKind.Object && Text("os") is { } os && Text("architecture") is { } architecture
                ? $"{os}/{architecture}"
                : null;

            string? Text(string member) => json.RootElement.TryGetProperty(member, out var text)
                && text.ValueKind == JsonValueKind.String && text.GetString() is { Length: > 0 and < 64 } value ? value : null;
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private sealed class Kept
    {
        public Dictionary<Digest, (ManifestDocument Document, int Length)> Documents { get; } = [];

        public long Bytes { get; set; }
    }
}
