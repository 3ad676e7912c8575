using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.S3;
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

/// <summary>A folder in the shared bucket that only one test uses, and the settings for it.</summary>
internal sealed class S3Store : IDisposable
{
    private readonly TempFolder _scratch = new();
    private IBucket? _bucket;

    internal string Root { get; } = $"test/{Guid.NewGuid():N}";

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
            ScratchDirectory = _scratch.Path,
        };
    }

    internal async Task<Stores> OpenAsync() => Open(await OptionsAsync());

    /// <param name="storeClock">How to change the dates that the store gives; null for not at all.</param>
    internal Stores Open(S3Options options, Func<DateTimeOffset, DateTimeOffset>? storeClock = null)
    {
        _bucket?.Dispose();
        _bucket = new S3Bucket(options, TimeProvider.System);
        if (storeClock is not null)
            _bucket = new AgedBucket(_bucket, storeClock);
        return new(
            new BucketContentStore(_bucket, options, TimeProvider.System),
            new BucketReferenceStore(_bucket, TimeProvider.System),
            new BucketReferrerStore(_bucket),
            Sweepable(options.Scratch),
            new BucketProvenanceStore(_bucket));
    }

    internal BucketSweepStore Sweepable(string scratch) => new(Bucket, scratch, TimeProvider.System);

    internal IBucket Bucket => _bucket!;

    public void Dispose()
    {
        _bucket?.Dispose();
        _scratch.Dispose();
    }
}
