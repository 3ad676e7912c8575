using System.Security.Cryptography;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Elliptics;
using Mirror.Storage.Tests.Buckets;
using Mirror.Storage.Tests.Sweeping;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Elliptics;
using Xunit;

namespace Mirror.Storage.Tests.Elliptics;

public sealed class EllipticsContentStoreTests : ContentStoreTests
{
    private readonly EllipticsStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class EllipticsReferenceStoreTests : ReferenceStoreTests
{
    private readonly EllipticsStore _store = new();

    /// <summary>A folder is listed in one answer.</summary>
    protected override int ManyTags => 100;

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class EllipticsSweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new EllipticsStore());
}

/// <summary>With <c>MIRROR_TESTS=full</c> only.</summary>
public sealed class EllipticsRaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override async Task<SweptStore> CreateAsync()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full", "over Elliptics with MIRROR_TESTS=full");
        return await BucketSweptStore.CreateAsync(new EllipticsStore());
    }
}

/// <summary>Signatures, failures and leftovers.</summary>
public sealed class EllipticsBucketTests : StoreTests
{
    private const string Path = "docker/registry/v2/blobs/sha256/aa/aabb/data";
    private const string Blobs = "docker/registry/v2/blobs/sha256";

    private readonly EllipticsStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }

    [Theory]
    [InlineData("key", true)]
    [InlineData("wrong", false)]
    public async Task Requests_to_a_bucket_are_signed(string token, bool isAllowed)
    {
        await using var rift = await RiftStandIn.StartAsync(
            RiftRelease.ByPath, [new RiftBucket("images") { Users = [new("mirror", "key", RiftRights.Write)] }]);
        var options = _store.Options;
        (options.Endpoints, options.Bucket, options.Username, options.Token) = ([rift.Url.OriginalString], "images", "mirror", token);
        using var bucket = new EllipticsBucket(options, TimeProvider.System);
        if (isAllowed)
        {
            Assert.True(await PutAsync(bucket, [1, 2]));
            Assert.Equal(2, await bucket.SizeAsync(Path, Cancel));
            await bucket.DeleteAsync(Path, Cancel);
        }
        else
        {
            var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => PutAsync(bucket, [1, 2]));
            Assert.Contains("403: the user may not do this, or the token is wrong", refused.Message, StringComparison.Ordinal);
        }
        Assert.Equal(0, rift.Count);
    }

    [Fact]
    public async Task Another_front_is_asked_if_one_does_not_answer()
    {
        var options = _store.Options;
        options.Endpoints = [$"http://127.0.0.1:{Ports.Free()}/", .. options.Endpoints];
        using var bucket = new EllipticsBucket(options, TimeProvider.System);
        await bucket.CheckAsync(Cancel);
        Assert.True(await PutAsync(bucket, [1]));
    }

    [Fact]
    public async Task A_failed_upload_leaves_no_name_and_its_object_is_found_by_a_sweep()
    {
        var rift = await _store.RiftAsync();
        // The object is written, and no request after it is answered.
        rift.Faults.Set(request => request.Path.Value!.StartsWith("/upload/", StringComparison.Ordinal) ? null : StoreFault.Status(500));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => PutAsync(_store.Bucket, RandomNumberGenerator.GetBytes(1000)));
        rift.Faults.Clear();
        Assert.Equal(1, rift.Count);
        Assert.Null(await _store.Bucket.SizeAsync(Path, Cancel));

        var (left, _) = await _store.Bucket.ListUploadsAsync(Blobs, Cancel).SingleAsync(Cancel);
        await left.AbortAsync(Cancel);
        Assert.Equal(0, rift.Count);
        Assert.Empty(await _store.Bucket.ListUploadsAsync(Blobs, Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Failing_nodes_make_nothing_missing()
    {
        Assert.True(await PutAsync(_store.Bucket, [1]));
        var rift = await _store.RiftAsync();
        rift.Faults.Set(StoreFault.Status(503));
        var away = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await _store.Bucket.SizeAsync(Path, Cancel));
        Assert.Contains("the nodes of Elliptics fail", away.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await _store.Bucket.CheckAsync(Cancel));
    }

    private static async Task<bool> PutAsync(IBucket bucket, byte[] bytes) =>
        await bucket.PutAsync(Path, () => new MemoryStream(bytes), bytes.Length, onlyIfAbsent: true, Cancel);
}

/// <summary>A stand-in of Rift and a folder of their own.</summary>
internal sealed class EllipticsStore : BucketStore
{
    private Task<RiftStandIn>? _rift;
    private TempFolder? _names = new();
    private EllipticsOptions? _options;

    internal EllipticsOptions Options => _options!;

    internal Task<RiftStandIn> RiftAsync() => _rift ??= RiftStandIn.StartAsync(RiftRelease.ByPath);

    internal override async Task<BucketOptions> SettingsAsync() => _options ??= new EllipticsOptions
    {
        Endpoints = [(await RiftAsync()).Url.OriginalString],
        RootDirectory = _names!.Path,
        ScratchDirectory = Scratch,
    };

    internal override BucketStore Another()
    {
        var another = new EllipticsStore
        {
            Root = Root,
            _options = new EllipticsOptions { Endpoints = Options.Endpoints, RootDirectory = Options.RootDirectory },
        };
        another._options.ScratchDirectory = another.Scratch;
        another._names!.Dispose();
        another._names = null;
        return another;
    }

    protected override IBucket Connect(BucketOptions options) => new EllipticsBucket((EllipticsOptions)options, TimeProvider.System);

    public override void Dispose()
    {
        base.Dispose();
        _names?.Dispose();
        if (_rift is not null)
            _ = EndAsync(_rift);

        static async Task EndAsync(Task<RiftStandIn> rift) => await (await rift).DisposeAsync();
    }
}
