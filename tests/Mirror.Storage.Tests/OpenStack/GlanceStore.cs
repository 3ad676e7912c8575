using System.Net;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Glance;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Buckets;
using Mirror.Storage.Tests.Sweeping;
using Mirror.Tests.Peers;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedGlance))]

namespace Mirror.Storage.Tests.OpenStack;

/// <summary>With <c>MIRROR_TESTS=full</c> only: Glance takes a tenth of a second for an image.</summary>
public sealed class GlanceContentStoreTests : ContentStoreTests
{
    private readonly GlanceStore _store = new() { IsSlow = true };

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

/// <summary>With <c>MIRROR_TESTS=full</c> only: nearly all of it is in the folder, as with Elliptics.</summary>
public sealed class GlanceReferenceStoreTests : ReferenceStoreTests
{
    private readonly GlanceStore _store = new() { IsSlow = true };

    /// <summary>A folder is listed in one answer.</summary>
    protected override int ManyTags => 100;

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

/// <inheritdoc cref="GlanceContentStoreTests"/>
public sealed class GlanceSweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() =>
        await BucketSweptStore.CreateAsync(new GlanceStore { IsSlow = true });
}

/// <inheritdoc cref="GlanceContentStoreTests"/>
public sealed class GlanceRaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override bool ArePushesSlow => true;

    private protected override async Task<SweptStore> CreateAsync() =>
        await BucketSweptStore.CreateAsync(new GlanceStore { IsSlow = true });
}

/// <summary>With <c>MIRROR_TESTS=full</c> only: everything but content in a container of Swift.</summary>
public sealed class GlanceBesideSwiftContentStoreTests : ContentStoreTests
{
    private readonly GlanceStore _store = new() { IsSlow = true, IsBesideSwift = true };

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

/// <inheritdoc cref="GlanceBesideSwiftContentStoreTests"/>
public sealed class GlanceBesideSwiftReferenceStoreTests : ReferenceStoreTests
{
    private readonly GlanceStore _store = new() { IsSlow = true, IsBesideSwift = true };

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

/// <inheritdoc cref="GlanceBesideSwiftContentStoreTests"/>
public sealed class GlanceBesideSwiftSweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() =>
        await BucketSweptStore.CreateAsync(new GlanceStore { IsSlow = true, IsBesideSwift = true });
}

/// <inheritdoc cref="GlanceBesideSwiftContentStoreTests"/>
public sealed class GlanceBesideSwiftRaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override bool ArePushesSlow => true;

    private protected override async Task<SweptStore> CreateAsync() =>
        await BucketSweptStore.CreateAsync(new GlanceStore { IsSlow = true, IsBesideSwift = true });
}

/// <summary>What only a store of two parts can have.</summary>
public sealed class GlanceBucketTests : StoreTests
{
    private const string Path = "docker/registry/v2/blobs/sha256/aa/aabb/data";
    private const string Blobs = "docker/registry/v2/blobs/sha256";

    private readonly GlanceStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task Content_is_an_image_and_all_else_is_in_the_folder()
    {
        var digest = await StoreAsync(Bytes(1000));
        await References.LinkBlobAsync(Name("library/app"), digest, Cancel);

        Assert.Equal([(RegistryLayout.BlobData(digest), "active")], await ImagesAsync());
        Assert.True(File.Exists(_store.Names[RegistryLayout.LayerLink(Name("library/app"), digest)]));
        // The name of the image, and nothing of the content.
        Assert.True(new FileInfo(_store.Names[RegistryLayout.BlobData(digest)]).Length < 100);

        await Content.DeleteAsync(digest, Cancel);
        Assert.Empty(await ImagesAsync());
    }

    [Fact]
    public async Task An_image_that_no_object_names_is_a_leftover_and_another_one_is_not()
    {
        await PutAsync([1]);
        var images = await ImagesAsync();
        File.Move(_store.Names[Path], _store.Names["kept"]);
        var (found, begun) = await _store.Bucket.ListUploadsAsync(Blobs, Cancel).SingleAsync(Cancel);
        Assert.True(begun > DateTimeOffset.UnixEpoch);

        // It got its name after it was listed.
        File.Move(_store.Names["kept"], _store.Names[Path]);
        await found.AbortAsync(Cancel);
        Assert.Equal(images, await ImagesAsync());
        Assert.Empty(await _store.Bucket.ListUploadsAsync(Blobs, Cancel).ToListAsync(Cancel));

        File.Delete(_store.Names[Path]);
        await found.AbortAsync(Cancel);
        Assert.Empty(await ImagesAsync());
    }

    [Fact]
    public async Task An_image_of_another_store_is_no_leftover()
    {
        await PutAsync([1]);
        using var other = new GlanceStore();
        await other.OpenAsync();
        Assert.Empty(await other.Bucket.ListUploadsAsync(Blobs, Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Content_whose_image_was_deleted_in_Glance_is_missing_and_can_be_stored_again()
    {
        await PutAsync([1]);
        var id = (await File.ReadAllTextAsync(_store.Names[Path], Cancel)).Split(' ')[0];
        using (var deleted = await Http.Client.DeleteAsync(new Uri((await SharedGlance.OrSkipAsync()).Url, $"v2/images/{id}"), Cancel))
            Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Null(await _store.Bucket.SizeAsync(Path, Cancel));
        Assert.Null(await _store.Bucket.OpenAsync(Path, 0, 1, Cancel));

        await PutAsync([1]);
        Assert.Equal(1, await _store.Bucket.SizeAsync(Path, Cancel));
        Assert.Single(await ImagesAsync());
    }

    [Fact]
    public async Task What_Glance_has_no_room_for_is_told_and_leaves_nothing()
    {
        var full = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await _store.Bucket.PutAsync(
            Path, () => new MemoryStream(new byte[Glance.MaxImage + 1]), Glance.MaxImage + 1, onlyIfAbsent: true, Cancel));

        Assert.Contains("413: a quota is used up", full.Message, StringComparison.Ordinal);
        Assert.Null(await _store.Bucket.SizeAsync(Path, Cancel));
        Assert.Empty(await ImagesAsync());
    }

    [Fact]
    public async Task A_Glance_that_does_not_answer_makes_nothing_missing()
    {
        await PutAsync([1]);
        var options = await _store.OptionsAsync();
        options.Endpoint = $"http://127.0.0.1:{Ports.Free()}";
        using var bucket = new GlanceBucket(options, TimeProvider.System);
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.SizeAsync(Path, Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.CheckAsync(Cancel));
    }

    [Fact]
    public async Task Keystone_lets_in_and_knows_where_Glance_is()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full", "with MIRROR_TESTS=full");
        Keystone.Availability.OrSkip();
        await using var keystone = await Keystone.StartAsync();
        await using var glance = await Glance.StartAsync("keystone", keystone.SectionOfGlance);
        await keystone.AddServiceAsync("image", glance.Url);
        var options = await _store.OptionsAsync();
        (options.Endpoint, options.AuthUrl, options.Username, options.Password, options.Tenant) =
            (null, keystone.AuthUrl.OriginalString, Keystone.User, Keystone.Password, Keystone.Project);
        using (var bucket = new GlanceBucket(options, TimeProvider.System))
        {
            await bucket.CheckAsync(Cancel);
            Assert.True(await bucket.PutAsync(Path, () => new MemoryStream([1, 2]), 2, onlyIfAbsent: true, Cancel));
            Assert.False(await bucket.PutAsync(Path, () => new MemoryStream([1, 2]), 2, onlyIfAbsent: true, Cancel));
            Assert.Equal(2, await bucket.SizeAsync(Path, Cancel));
            await bucket.DeleteAsync(Path, Cancel);
            Assert.Null(await bucket.SizeAsync(Path, Cancel));
        }
        options.Password = "wrong";
        using var stranger = new GlanceBucket(options, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await stranger.CheckAsync(Cancel));
        Assert.Contains("authurl does not accept username and password", refused.Message, StringComparison.Ordinal);
    }

    private async Task PutAsync(byte[] bytes) => Assert.True(
        await _store.Bucket.PutAsync(Path, () => new MemoryStream(bytes), bytes.Length, onlyIfAbsent: true, Cancel));

    private async Task<List<(string Name, string Status)>> ImagesAsync() => await (await SharedGlance.OrSkipAsync())
        .ImagesAsync(await File.ReadAllTextAsync(_store.Names["mirror/glance"], Cancel));
}

/// <summary>Images in Glance, with a folder or a container of their own for the rest.</summary>
internal sealed class GlanceStore : BucketStore
{
    private bool _isAnother;

    internal TempFolder Names { get; private init; } = new();

    /// <summary>Whether it is used only with <c>MIRROR_TESTS=full</c>.</summary>
    internal bool IsSlow { get; init; }

    /// <summary>Whether the rest is in a container of Swift.</summary>
    internal bool IsBesideSwift { get; init; }

    internal async Task<GlanceOptions> OptionsAsync()
    {
        if (IsSlow)
            Assert.SkipUnless(Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full", "over Glance with MIRROR_TESTS=full");
        var options = new GlanceOptions
        {
            Endpoint = (await SharedGlance.OrSkipAsync()).Url.OriginalString,
            RootDirectory = Names.Path,
            ScratchDirectory = Scratch,
        };
        if (IsBesideSwift)
            (options.AuthUrl, options.Username, options.Password, options.Container, options.Prefix) = (
                (await SharedSwift.OrSkipAsync()).AuthUrl.OriginalString, Swift.User, Swift.Password, Swift.Container, Root);
        return options;
    }

    internal override async Task<BucketOptions> SettingsAsync() => await OptionsAsync();

    internal override BucketStore Another() =>
        new GlanceStore { Root = Root, Names = Names, IsBesideSwift = IsBesideSwift, _isAnother = true };

    protected override IBucket Connect(BucketOptions options) => new GlanceBucket((GlanceOptions)options, TimeProvider.System)
    {
        // Many tests ask one Glance at once.
        SmallLimit = TimeSpan.FromMinutes(2),
    };

    public override void Dispose()
    {
        base.Dispose();
        if (!_isAnother)
            Names.Dispose();
    }
}
