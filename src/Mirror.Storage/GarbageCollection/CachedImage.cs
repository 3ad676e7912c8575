namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// What an eviction evicts as a whole: a manifest that no index of its repository lists, with all below it. All tags that name this
/// manifest are one image. A blob that no stored manifest names counts as an image too.
/// </summary>
/// <param name="Name">The repository; null for such a blob.</param>
/// <param name="Root">The manifest, or that blob.</param>
public sealed record CachedImage(RepositoryName? Name, Digest Root)
{
    /// <summary>When it was last used: pulled, or stored.</summary>
    public DateTimeOffset Used { get; internal set; }

    /// <summary>The numbers of its manifests in <see cref="CachedImages"/>, the root first.</summary>
    internal int[] Manifests { get; set; } = [];

    /// <summary>The numbers of its blobs.</summary>
    internal int[] Blobs { get; set; } = [];

    /// <summary>The last pull that was known when the images were measured.</summary>
    internal DateTimeOffset? Pulled { get; set; }

    /// <summary>Whether a client has pulled it since then.</summary>
    internal bool IsPulledSince { get; set; }

    /// <summary>Whether this eviction has looked at it already: it was evicted, or it has to be kept for now.</summary>
    internal bool IsHandedOut { get; set; }

    /// <summary>Whether it was evicted.</summary>
    internal bool IsEvicted { get; set; }
}
