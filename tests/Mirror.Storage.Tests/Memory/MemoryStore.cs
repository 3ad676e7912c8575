using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Tests.Buckets;
using Mirror.Storage.Tests.Sweeping;

namespace Mirror.Storage.Tests.Memory;

public sealed class MemoryContentStoreTests : ContentStoreTests
{
    private readonly MemoryStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class MemoryReferenceStoreTests : ReferenceStoreTests
{
    private readonly MemoryStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class MemorySweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new MemoryStore());
}

public sealed class MemoryRaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new MemoryStore());
}

/// <summary>A store in memory. What stands for another process has the same memory.</summary>
internal sealed class MemoryStore : BucketStore
{
    private readonly MemoryBucket _memory;

    public MemoryStore() : this(new MemoryBucket(new() { MaxSize = 1L << 30 }, TimeProvider.System))
    {
    }

    private MemoryStore(MemoryBucket memory) => _memory = memory;

    internal override Task<BucketOptions> SettingsAsync() =>
        Task.FromResult<BucketOptions>(new MemoryOptions { ScratchDirectory = Scratch });

    internal override BucketStore Another() => new MemoryStore(_memory);

    protected override IBucket Connect(BucketOptions options) => _memory;
}
