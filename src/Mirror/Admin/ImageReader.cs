using System.Runtime.CompilerServices;
using System.Text.Json;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>An image: a tag, what it names, its platforms' manifests and their layers, as far as they are stored.</summary>
/// <param name="Platforms">Those of which the manifest is stored, such as <c>linux/amd64</c>.</param>
/// <param name="Parts">Manifests, configs and layers that the repository has stored, each once, with its length in bytes.</param>
/// <param name="IsWhole">Whether all is stored that the stored manifests need.</param>
public sealed record StoredImage(
    RepositoryName Name, string Tag, Digest Digest, IReadOnlyList<string> Platforms, IReadOnlyDictionary<Digest, long> Parts, bool IsWhole);

/// <summary>Reads images out of the store.</summary>
public sealed class ImageReader(
    [FromKeyedServices(CheckedContentStore.Unchecked)] IContentStore content, IReferenceStore references, ISweepStore links)
{
    // A config has a few KB. One with a long history may have more, and a longer one is another kind of artifact.
    private const int MaxConfig = 256 << 10;

    /// <summary>The images of a repository, by tag. Of content only manifests and configs are read.</summary>
    public async IAsyncEnumerable<StoredImage> ReadAsync(
        RepositoryName name, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var blobs = await BlobsAsync(name, cancellationToken);
        var manifests = await ManifestsAsync(name, cancellationToken);
        foreach (var tag in await references.ListTagsAsync(name, cancellationToken))
            if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } digest)
                yield return await ReadAsync(name, tag, digest, manifests, blobs, cancellationToken);
    }

    /// <summary>The manifests that a repository may serve.</summary>
    public ValueTask<HashSet<Digest>> ManifestsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        DigestsAsync(links.ListManifestsAsync(name, cancellationToken), cancellationToken);

    /// <summary>The blobs that a repository may serve.</summary>
    public ValueTask<HashSet<Digest>> BlobsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        DigestsAsync(links.ListBlobsAsync(name, cancellationToken), cancellationToken);

    /// <summary>The manifests that a manifest leads to, itself among them, as far as they are stored: what they say, and their
    /// lengths.</summary>
    /// <param name="stored">The manifests of the repository.</param>
    public async ValueTask<Dictionary<Digest, (ManifestDocument Document, int Length)>> TreeAsync(
        Digest root, IReadOnlySet<Digest> stored, CancellationToken cancellationToken)
    {
        Dictionary<Digest, (ManifestDocument, int)> tree = [];
        Stack<Digest> pending = new([root]);
        while (pending.TryPop(out var digest))
        {
            if (tree.ContainsKey(digest) || !stored.Contains(digest)
                || (await content.ReadAllAsync(digest, Manifest.MaxBytes, cancellationToken)).Bytes is not { } bytes
                || ManifestDocument.Read(bytes) is not { } document)
                continue;
            tree[digest] = (document, bytes.Length);
            foreach (var child in document.Manifests)
                pending.Push(child.Digest);
        }
        return tree;
    }

    private async ValueTask<StoredImage> ReadAsync(
        RepositoryName name, string tag, Digest root, HashSet<Digest> manifests, HashSet<Digest> blobs, CancellationToken cancellationToken)
    {
        Dictionary<Digest, long> parts = [];
        SortedSet<string> platforms = new(StringComparer.Ordinal);
        var tree = await TreeAsync(root, manifests, cancellationToken);
        var isWhole = tree.ContainsKey(root);
        foreach (var (digest, (document, length)) in tree)
        {
            parts[digest] = length;
            foreach (var child in document.Manifests)
                // What describes an image, such as its provenance, is listed as an image for an unknown platform.
                if (child.Platform is { Os: { } os, Architecture: { } architecture } && os != "unknown" && tree.ContainsKey(child.Digest))
                    platforms.Add($"{os}/{architecture}");
            foreach (var blob in document.Blobs)
                if (blobs.Contains(blob.Digest))
                    parts[blob.Digest] = blob.Size ?? 0;
                else
                    isWhole &= blob.IsElsewhere;
            if (digest == root && !document.IsIndex && document.Entries.FirstOrDefault(entry => entry.Field == "config") is { } config
                && blobs.Contains(config.Digest) && await PlatformAsync(config.Digest, cancellationToken) is { } platform)
                platforms.Add(platform);
        }
        return new(name, tag, root, [.. platforms], parts, isWhole);
    }

    private static ValueTask<HashSet<Digest>> DigestsAsync(
        IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> links, CancellationToken cancellationToken) =>
        links.Select(link => link.Digest).ToHashSetAsync(cancellationToken: cancellationToken);

    private async ValueTask<string?> PlatformAsync(Digest config, CancellationToken cancellationToken)
    {
        if ((await content.ReadAllAsync(config, MaxConfig, cancellationToken)).Bytes is not { } bytes)
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
}
