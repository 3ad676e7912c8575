using System.Text.Json;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Gcs;
using Mirror.Storage.Tests.Buckets;
using Mirror.Storage.Tests.Sweeping;
using Mirror.Tests.Peers.Gcs;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedGoogleStorage))]

namespace Mirror.Storage.Tests.Gcs;

public sealed class GcsContentStoreTests : ContentStoreTests
{
    private readonly GcsStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class GcsReferenceStoreTests : ReferenceStoreTests
{
    private readonly GcsStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class GcsSweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new GcsStore());
}

public sealed class GcsRaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new GcsStore());
}

/// <summary>A folder in the stand-in's bucket.</summary>
internal sealed class GcsStore : BucketStore
{
    /// <summary>The server; null: that of all tests.</summary>
    internal GoogleStorage? Server { get; init; }

    internal override async Task<BucketOptions> SettingsAsync()
    {
        var server = Server ?? await SharedGoogleStorage.StartedAsync();
        return new GcsOptions
        {
            Bucket = GoogleStorage.Bucket,
            Endpoint = server.Url.OriginalString,
            Credentials = JsonSerializer.Deserialize<Dictionary<string, string>>(server.KeyFile()),
            RootDirectory = Root,
            ChunkSize = 5 << 20,
            ScratchDirectory = Scratch,
        };
    }

    internal override BucketStore Another() => new GcsStore { Root = Root, Server = Server };

    protected override IBucket Connect(BucketOptions options) => new GcsBucket((GcsOptions)options, TimeProvider.System);
}

/// <summary>One server for all tests of an assembly, started by the first that asks.</summary>
public sealed class SharedGoogleStorage : IAsyncDisposable
{
    private static readonly Lazy<Task<GoogleStorage>> Started = new(GoogleStorage.StartAsync);

    public static Task<GoogleStorage> StartedAsync() => Started.Value;

    public async ValueTask DisposeAsync()
    {
        if (Started is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await Started.Value).DisposeAsync();
    }
}
