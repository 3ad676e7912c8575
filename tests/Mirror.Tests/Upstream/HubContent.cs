using System.Collections.Concurrent;
using Mirror.Storage;

namespace Mirror.Tests.Upstream;

/// <summary>A manifest as pushed: these bytes under this type.</summary>
public sealed record HubManifest(string MediaType, byte[] Bytes)
{
    public Digest Digest { get; } = Digest.Of(Bytes);

    public bool IsOci => MediaType.StartsWith("application/vnd.oci.", StringComparison.Ordinal);
}

/// <summary>One repository: its manifests, tags and blobs.</summary>
internal sealed class HubRepository
{
    internal ConcurrentDictionary<string, HubManifest> Manifests { get; } = new();

    internal ConcurrentDictionary<string, Digest> Tags { get; } = new();

    internal ConcurrentDictionary<string, HubBlob> Blobs { get; } = new();

    internal HubManifest? Find(string reference) =>
        Manifests.GetValueOrDefault(Tags.TryGetValue(reference, out var digest) ? digest.ToString() : reference);
}

/// <summary>What an image added to the hub consists of.</summary>
public sealed record HubImage(Digest Digest, byte[] Bytes, string MediaType, HubBlob Config, IReadOnlyList<HubBlob> Layers);
