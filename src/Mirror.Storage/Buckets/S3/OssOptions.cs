namespace Mirror.Storage.Buckets.S3;

/// <summary>
/// Section <c>storage.oss</c>: a bucket of Aliyun's Object Storage Service, with the keys of <c>registry:2</c>. It is used through its
/// interface of S3, and accepts only addresses that begin with the name of the bucket.
/// </summary>
public sealed class OssOptions : BucketOptions
{
    private const string Domain = "aliyuncs.com";

    public override string Location => $"oss://{Bucket}/{RootDirectory.Trim('/')}";

    public override string Identity => ToS3().Identity;

    public string AccessKeyId { get; set; } = "";

    public string AccessKeySecret { get; set; } = "";

    /// <summary>The region in its long form, for example <c>oss-cn-hangzhou</c>.</summary>
    public string Region { get; set; } = "";

    public string Bucket { get; set; } = "";

    /// <summary>
    /// The address of the bucket itself, where it is another one than the region's: a URL, or a host and port. It replaces the host and the
    /// bucket's name in it.
    /// </summary>
    public string? Endpoint { get; set; }

    /// <summary>Whether to use the address that is reached only from inside Aliyun. Default false.</summary>
    public bool Internal { get; set; }

    /// <summary>Whether the store shall encrypt new objects. Default false: as the bucket is configured.</summary>
    public bool Encrypt { get; set; }

    /// <summary>Whether to use TLS, if the endpoint is not a URL. Default true.</summary>
    public bool Secure { get; set; } = true;

    /// <summary>The folder in the bucket that holds <c>docker/</c>. Default: the root of the bucket.</summary>
    public string RootDirectory { get; set; } = "";

    /// <summary>The settings of the same bucket for its interface of S3.</summary>
    public S3Options ToS3() => new()
    {
        Bucket = Bucket,
        Region = Region,
        RegionEndpoint = $"s3.{Region}{(Internal ? "-internal" : "")}.{Domain}",
        // A console shows the bucket's own address as BUCKET.REGION.aliyuncs.com. Not all of these speak S3.
        BucketEndpoint = Endpoint is { } own && !IsOfRegion(own) ? own : null,
        Secure = Secure && Endpoint?.StartsWith("http:", StringComparison.OrdinalIgnoreCase) != true,
        ForcePathStyle = false,
        Checksums = false,
        AccessKey = AccessKeyId,
        SecretKey = AccessKeySecret,
        RootDirectory = RootDirectory,
        Encrypt = Encrypt,
        ChunkSize = ChunkSize,
        ScratchDirectory = ScratchDirectory,
        LocalCache = LocalCache,
        ShownAs = Location,
    };

    // The addresses that the other keys come to anyway.
    private bool IsOfRegion(string endpoint)
    {
        var host = endpoint[(endpoint.LastIndexOf('/') + 1)..];
        return host.Equals($"{Bucket}.{Region}.{Domain}", StringComparison.OrdinalIgnoreCase)
            || host.Equals($"{Region}.{Domain}", StringComparison.OrdinalIgnoreCase);
    }
}
