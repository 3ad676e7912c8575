using System.Text.Json;

namespace Mirror.Storage.GarbageCollection;

/// <summary>What a manifest refers to. Whatever its type says, every place where any manifest has references is read: a sweep rather keeps too much.</summary>
public sealed class ManifestReferences
{
    private readonly List<Digest> _blobs = [];
    private readonly List<Digest> _manifests = [];

    /// <summary>Config and layers.</summary>
    public IReadOnlyList<Digest> Blobs => _blobs;

    /// <summary>The entries of an index.</summary>
    public IReadOnlyList<Digest> Manifests => _manifests;

    /// <summary>What this manifest was attached to; it need not exist.</summary>
    public Digest? Subject { get; private set; }

    /// <summary>The references of a manifest; null where the bytes are not a JSON object.</summary>
    public static ManifestReferences? Of(ReadOnlyMemory<byte> manifest)
    {
        try
        {
            using var document = JsonDocument.Parse(manifest);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                return null;
            var references = new ManifestReferences();
            Add(root, "config", "digest", references._blobs);
            AddEach(root, "layers", "digest", references._blobs);
            // The artifact manifest of OCI 1.1's release candidates.
            AddEach(root, "blobs", "digest", references._blobs);
            // Docker's schema 1.
            AddEach(root, "fsLayers", "blobSum", references._blobs);
            AddEach(root, "manifests", "digest", references._manifests);
            if (root.TryGetProperty("subject", out var subject) && TryDigest(subject, "digest", out var digest))
                references.Subject = digest;
            return references;
        }
        // The second: text with half a surrogate pair, which is noticed only when it is read.
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static void AddEach(JsonElement root, string list, string property, List<Digest> to)
    {
        if (!root.TryGetProperty(list, out var entries) || entries.ValueKind != JsonValueKind.Array)
            return;
        foreach (var entry in entries.EnumerateArray())
            if (TryDigest(entry, property, out var digest))
                to.Add(digest);
    }

    private static void Add(JsonElement root, string name, string property, List<Digest> to)
    {
        if (root.TryGetProperty(name, out var entry) && TryDigest(entry, property, out var digest))
            to.Add(digest);
    }

    private static bool TryDigest(JsonElement entry, string property, out Digest digest)
    {
        digest = default;
        return entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.String
            && Digest.TryParse(value.GetString(), out digest);
    }
}
