using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Tests.Buckets;
using Mirror.Tests.Peers;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedRadosgw))]

namespace Mirror.Storage.Tests.S3;

public sealed class S3ContentStoreTests : ContentStoreTests
{
    private readonly S3Store _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class S3ReferenceStoreTests : ReferenceStoreTests
{
    private readonly S3Store _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

/// <summary>A folder in radosgw's bucket.</summary>
internal sealed class S3Store : BucketStore
{
    internal async Task<S3Options> OptionsAsync()
    {
        var store = await SharedRadosgw.OrSkipAsync();
        return new S3Options
        {
            RegionEndpoint = store.Url.OriginalString,
            AccessKey = Radosgw.AccessKey,
            SecretKey = Radosgw.SecretKey,
            Bucket = Radosgw.Bucket,
            RootDirectory = Root,
            ChunkSize = 5 << 20,
            ScratchDirectory = Scratch,
        };
    }

    internal override async Task<BucketOptions> SettingsAsync() => await OptionsAsync();

    internal override BucketStore Another() => new S3Store { Root = Root };

    protected override IBucket Connect(BucketOptions options) => new S3Bucket((S3Options)options, TimeProvider.System);
}
