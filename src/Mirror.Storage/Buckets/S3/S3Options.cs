namespace Mirror.Storage.Buckets.S3;

/// <summary>Section <c>storage.s3</c>: a bucket of S3, with the keys of <c>registry:2</c>.</summary>
public sealed class S3Options : BucketOptions
{
    public override string Location => ShownAs ?? $"s3://{Bucket}/{RootDirectory.Trim('/')}";

    public override string Identity
    {
        get
        {
            var endpoint = BucketEndpoint ?? RegionEndpoint ?? Region;
            return $"{endpoint[(endpoint.IndexOf("//", StringComparison.Ordinal) + 1)..].Trim('/')} {Bucket} {RootDirectory.Trim('/')}";
        }
    }

    public string Bucket { get; set; } = "";

    public string Region { get; set; } = "us-east-1";

    /// <summary>The address of a store other than AWS: a URL, or a host and port.</summary>
    public string? RegionEndpoint { get; set; }

    /// <summary>The address of the store for clients, if it is another one. Default: <see cref="RegionEndpoint"/>.</summary>
    public string? RedirectEndpoint { get; set; }

    /// <summary>The bucket's own address. Default null: it is made of the bucket's name and the endpoint.</summary>
    internal string? BucketEndpoint { get; init; }

    /// <summary><see cref="Location"/> of a store that is used as S3 and has another name.</summary>
    internal string? ShownAs { get; init; }

    /// <summary>The folder in the bucket that holds <c>docker/</c>. Default: the root of the bucket.</summary>
    public string RootDirectory { get; set; } = "";

    /// <summary><see cref="RootDirectory"/> as keys begin with it: empty, or with a slash at its end only.</summary>
    public string Root => RootDirectory.Trim('/') is { Length: > 0 } folder ? $"{folder}/" : "";

    /// <summary>Default: credentials of the environment, a profile, web identity, the container or the machine.</summary>
    public string? AccessKey { get; set; }

    public string? SecretKey { get; set; }

    public string? SessionToken { get; set; }

    /// <summary>Whether the bucket's name is in the path and not in the host name. Default: true if an endpoint is given.</summary>
    public bool? ForcePathStyle { get; set; }

    /// <summary>Whether to use TLS, if the endpoint is not a URL. Default true.</summary>
    public bool Secure { get; set; } = true;

    /// <summary>Whether to accept any certificate. Default false.</summary>
    public bool SkipVerify { get; set; }

    /// <summary>
    /// Whether to send the checksums of newer AWS programs. Default: true if no endpoint is given. Many other stores refuse them.
    /// </summary>
    public bool? Checksums { get; set; }

    /// <summary>The storage class of new objects. <c>NONE</c>: the bucket's own. Default <c>STANDARD</c>.</summary>
    public string StorageClass { get; set; } = "STANDARD";

    /// <summary>Whether the store shall encrypt new objects. Default false: as the bucket is configured.</summary>
    public bool Encrypt { get; set; }

    /// <summary>The KMS key for <see cref="Encrypt"/>. Default: the store's own key.</summary>
    public string? KeyId { get; set; }

    /// <summary>The canned ACL of new objects. Default <c>private</c>.</summary>
    public string ObjectAcl { get; set; } = "private";

    public bool Accelerate { get; set; }

    public bool UseDualStack { get; set; }

    public bool UseFipsEndpoint { get; set; }
}
