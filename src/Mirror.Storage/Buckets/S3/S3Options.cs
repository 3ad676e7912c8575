namespace Mirror.Storage.Buckets.S3;

/// <summary>Section <c>storage.s3</c>: content as objects of a bucket, in the layout of <c>registry:2</c> and by its keys.</summary>
public sealed class S3Options
{
    public string Bucket { get; set; } = "";

    public string Region { get; set; } = "us-east-1";

    /// <summary>The store's address where it is not AWS: a URL, or a host and port.</summary>
    public string? RegionEndpoint { get; set; }

    /// <summary>The address that clients are sent to, where they know the store by another one. Default: <see cref="RegionEndpoint"/>.</summary>
    public string? RedirectEndpoint { get; set; }

    /// <summary>The folder in the bucket that holds <c>docker/</c>. Default: the bucket's top.</summary>
    public string RootDirectory { get; set; } = "";

    /// <summary>Without keys, credentials come from where AWS's programs look for them: environment, profile, web identity, container, machine.</summary>
    public string? AccessKey { get; set; }

    public string? SecretKey { get; set; }

    public string? SessionToken { get; set; }

    /// <summary>Whether the bucket's name stands in the path instead of the host name. Default: true where an endpoint is given.</summary>
    public bool? ForcePathStyle { get; set; }

    /// <summary>Whether the store is spoken to over TLS, where the endpoint does not say. Default true.</summary>
    public bool Secure { get; set; } = true;

    /// <summary>Whether any certificate is taken for the store's. Default false.</summary>
    public bool SkipVerify { get; set; }

    /// <summary>Whether objects are uploaded with the checksums of newer AWS programs, which many other stores refuse. Default: true where no endpoint is given.</summary>
    public bool? Checksums { get; set; }

    /// <summary>How long a part of an upload is, in bytes, 5 MiB or more. Default 10 MiB. What is shorter is uploaded whole.</summary>
    public long ChunkSize { get; set; } = 10 << 20;

    /// <summary>The storage class of new objects; <c>NONE</c> leaves it to the bucket. Default <c>STANDARD</c>.</summary>
    public string StorageClass { get; set; } = "STANDARD";

    /// <summary>Whether new objects are encrypted by the store. Default false: as the bucket has it.</summary>
    public bool Encrypt { get; set; }

    /// <summary>The KMS key they are encrypted with; without one, the store's own.</summary>
    public string? KeyId { get; set; }

    /// <summary>The canned ACL of new objects. Default <c>private</c>.</summary>
    public string ObjectAcl { get; set; } = "private";

    public bool Accelerate { get; set; }

    public bool UseDualStack { get; set; }

    public bool UseFipsEndpoint { get; set; }

    /// <summary>The folder for content, pushes and events on their way. Default <c>mirror-scratch</c> in the system's temporary folder,
    /// or <c>scratch</c> in the local cache.</summary>
    public string? ScratchDirectory { get; set; }

    /// <summary>The folder that this comes to.</summary>
    public string Scratch => LocalCache.Path is { } cache ? Path.Combine(cache, "scratch") : ScratchDirectory ?? Path.Combine(Path.GetTempPath(), "mirror-scratch");

    public LocalCacheOptions LocalCache { get; set; } = new();
}

/// <summary>Section <c>storage.s3.localcache</c>: content kept on a local disk, in front of the bucket.</summary>
public sealed class LocalCacheOptions
{
    /// <summary>The folder, this process's own; null, the default, is no cache.</summary>
    public string? Path { get; set; }

    /// <summary>How many bytes it may hold. Default 10 GiB.</summary>
    public long MaxSize { get; set; } = 10L << 30;
}
