using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Tests.Buckets;
using Mirror.Tests.Peers;

namespace Mirror.Storage.Tests.S3;

public sealed class OssContentStoreTests : ContentStoreTests
{
    private readonly OssStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class OssReferenceStoreTests : ReferenceStoreTests
{
    private readonly OssStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

/// <summary>A folder in radosgw's bucket, which has an address of its own.</summary>
internal sealed class OssStore : BucketStore
{
    internal override async Task<BucketOptions> SettingsAsync()
    {
        var store = await SharedRadosgw.OrSkipAsync();
        return new OssOptions
        {
            AccessKeyId = Radosgw.AccessKey,
            AccessKeySecret = Radosgw.SecretKey,
            Region = "us-east-1",
            Bucket = Radosgw.Bucket,
            Endpoint = store.BucketUrl.OriginalString,
            RootDirectory = Root,
            ChunkSize = 5 << 20,
            ScratchDirectory = Scratch,
        };
    }

    internal override BucketStore Another() => new OssStore { Root = Root };

    protected override IBucket Connect(BucketOptions options) => new S3Bucket(((OssOptions)options).ToS3(), TimeProvider.System);
}
