using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Tests.Buckets;
using Mirror.Storage.Tests.Sweeping;
using Mirror.Tests.Peers;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedAzurite))]

namespace Mirror.Storage.Tests.Azure;

public sealed class AzureContentStoreTests : ContentStoreTests
{
    private readonly AzureStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class AzureReferenceStoreTests : ReferenceStoreTests
{
    protected override int ManyTags => LongTests.AreRun ? base.ManyTags : 100;

    private readonly AzureStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class AzureSweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new AzureStore());
}

public sealed class AzureRaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override bool? Sample => true;

    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new AzureStore());
}

/// <summary>A folder in Azurite's container.</summary>
internal sealed class AzureStore : BucketStore
{
    internal async Task<AzureOptions> OptionsAsync()
    {
        var store = await SharedAzurite.OrSkipAsync();
        return new AzureOptions
        {
            ServiceUrl = store.Url.OriginalString,
            AccountName = Azurite.Account,
            AccountKey = Azurite.Key,
            Container = Azurite.Container,
            Credentials = new() { Type = AzureCredentialType.SharedKey },
            RootDirectory = Root,
            ChunkSize = 5 << 20,
            ScratchDirectory = Scratch,
        };
    }

    internal override async Task<BucketOptions> SettingsAsync() => await OptionsAsync();

    internal override BucketStore Another() => new AzureStore { Root = Root };

    protected override IBucket Connect(BucketOptions options) => new AzureBucket((AzureOptions)options, TimeProvider.System);
}
