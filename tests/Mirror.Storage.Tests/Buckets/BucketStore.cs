using Mirror.Storage.Buckets;
using Mirror.Tests.Peers;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>A folder in a shared bucket that only one test uses.</summary>
internal abstract class BucketStore : IDisposable
{
    private readonly TempFolder _scratch = new();
    private IBucket? _bucket;

    internal string Root { get; init; } = $"test/{Guid.NewGuid():N}";

    internal IBucket Bucket => _bucket!;

    protected string Scratch => _scratch.Path;

    /// <summary>The settings; skips the test where the service cannot be run.</summary>
    internal abstract Task<BucketOptions> SettingsAsync();

    /// <summary>Another process at the same bucket and folder.</summary>
    internal abstract BucketStore Another();

    internal async Task<Stores> OpenAsync() => Open(await SettingsAsync());

    /// <param name="storeClock">How to change the dates that the store gives; null for not at all.</param>
    internal Stores Open(BucketOptions options, Func<DateTimeOffset, DateTimeOffset>? storeClock = null)
    {
        _bucket?.Dispose();
        _bucket = Connect(options);
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

    public virtual void Dispose()
    {
        _bucket?.Dispose();
        _scratch.Dispose();
    }

    protected abstract IBucket Connect(BucketOptions options);
}
