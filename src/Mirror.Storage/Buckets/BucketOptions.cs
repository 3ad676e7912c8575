namespace Mirror.Storage.Buckets;

/// <summary>The settings that the buckets of all services have.</summary>
public abstract class BucketOptions
{
    /// <summary>The bucket's name in logs and messages, for example <c>s3://images/registry/</c>.</summary>
    public abstract string Location { get; }

    /// <summary>A text that identifies the bucket and its folder. It must be the same for all replicas.</summary>
    public abstract string Identity { get; }

    /// <summary>The folder that has everything but content. Null: it is in the bucket too.</summary>
    public virtual string? NamesFolder => null;

    /// <summary>The length of a part of an upload in bytes. Default 10 MiB. Shorter content is uploaded whole.</summary>
    public long ChunkSize { get; set; } = 10 << 20;

    /// <summary>
    /// The local folder for unfinished downloads, pushes and events. Default: <c>mirror-scratch</c> in the system's temporary folder.
    /// It has no effect with a local cache: then <see cref="Scratch"/> is below the cache.
    /// </summary>
    public string? ScratchDirectory { get; set; }

    /// <summary>The folder in use: <c>scratch</c> in the local cache, or else <see cref="ScratchDirectory"/> or its default.</summary>
    public string Scratch => LocalCache.Path is { } cache
        ? Path.Combine(cache, "scratch")
        : ScratchDirectory ?? Path.Combine(Path.GetTempPath(), "mirror-scratch");

    public LocalCacheOptions LocalCache { get; set; } = new();
}

/// <summary>Section <c>localcache</c> of a bucket: copies of its content on a local disk.</summary>
public sealed class LocalCacheOptions
{
    /// <summary>The folder, which belongs to this process alone. Default null: no cache.</summary>
    public string? Path { get; set; }

    /// <summary>How many bytes it may hold. Default 10 GiB.</summary>
    public long MaxSize { get; set; } = 10L << 30;
}
