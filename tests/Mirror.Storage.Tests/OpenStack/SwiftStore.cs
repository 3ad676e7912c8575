using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Swift;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Buckets;
using Mirror.Storage.Tests.Sweeping;
using Mirror.Tests.Peers;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedSwift))]
[assembly: AssemblyFixture(typeof(SharedSwiftWithKeystone))]

namespace Mirror.Storage.Tests.OpenStack;

public sealed class SwiftContentStoreTests : ContentStoreTests
{
    private readonly SwiftStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class SwiftReferenceStoreTests : ReferenceStoreTests
{
    protected override int ManyTags => LongTests.AreRun ? base.ManyTags : 100;

    private readonly SwiftStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class SwiftSweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new SwiftStore());
}

public sealed class SwiftRaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override bool? Sample => false;

    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new SwiftStore());
}

/// <summary>Over a Swift whose tokens a real Keystone gives, by version 3 of its log-in; its catalogue has Swift's address.</summary>
public sealed class SwiftWithKeystoneTests : ContentStoreTests
{
    private readonly SwiftStore _store = new() { IsWithKeystone = true };

    protected override Task<Stores> CreateAsync()
    {
        // What every store must do is tested with the tokens of Swift itself.
        if (TestContext.Current.TestMethod!.MethodName != nameof(Clients_read_content_without_a_token_by_the_address_that_they_get))
            LongTests.OrSkip();
        return _store.OpenAsync();
    }

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task Clients_read_content_without_a_token_by_the_address_that_they_get()
    {
        var bytes = Bytes(1000);
        var path = RegistryLayout.BlobData(await StoreAsync(bytes));
        Uri? address = null;
        await Until.TrueAsync(
            async () => (address = await _store.Bucket.LocateAsync(path, TimeSpan.FromMinutes(1), Cancel)) is not null,
            () => "There is no address.");
        Assert.Equal(bytes, await Http.Client.GetByteArrayAsync(address, Cancel));
    }

    [Fact]
    public async Task A_wrong_password_and_a_missing_region_are_told()
    {
        var options = await _store.OptionsAsync();
        options.Region = "nowhere";
        using var elsewhere = new SwiftBucket(options, TimeProvider.System);
        var lost = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await elsewhere.CheckAsync(Cancel));
        Assert.Contains("no object store in region nowhere", lost.Message, StringComparison.Ordinal);
        options.Password = "wrong";
        using var stranger = new SwiftBucket(options, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await stranger.CheckAsync(Cancel));
        Assert.Contains("authurl does not accept username and password", refused.Message, StringComparison.Ordinal);
    }
}

/// <summary>Logins, large objects and troubles that only Swift has.</summary>
public sealed class SwiftBucketTests : StoreTests
{
    private const string Path = "docker/registry/v2/blobs/sha256/aa/aabb/data";

    private readonly SwiftStore _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task A_large_object_is_replaced_and_deleted_with_its_segments()
    {
        var swift = await SharedSwift.OrSkipAsync();
        var bucket = _store.Bucket;
        foreach (var parts in new[] { 3, 2 })
        {
            var upload = await bucket.BeginUploadAsync(Path, Cancel);
            await Parallel.ForAsync(1, parts + 1, Cancel, async (number, _) =>
                await upload.PutPartAsync(number, () => new MemoryStream(new byte[1000]), 1000, Cancel));
            Assert.True(await upload.CompleteAsync(onlyIfAbsent: false, Cancel));
            Assert.Equal(parts * 1000, await bucket.SizeAsync(Path, Cancel));
            Assert.Equal(parts * 1000, (await bucket.ListAsync("docker/", null, Cancel).SingleAsync(Cancel)).Size);
            Assert.Equal(parts + 1, (await NamesAsync(swift)).Length);
        }
        await bucket.DeleteAsync(Path, Cancel);
        Assert.Empty(await NamesAsync(swift));
    }

    [Fact]
    public async Task The_segments_of_an_upload_that_was_not_finished_are_found_and_those_of_an_object_are_not()
    {
        var swift = await SharedSwift.OrSkipAsync();
        var bucket = _store.Bucket;
        foreach (var isFinished in new[] { true, false })
        {
            var upload = await bucket.BeginUploadAsync(Path, Cancel);
            await upload.PutPartAsync(1, () => new MemoryStream([1, 2]), 2, Cancel);
            if (isFinished)
                await upload.CompleteAsync(onlyIfAbsent: true, Cancel);
        }
        var (found, begun) = await bucket.ListUploadsAsync("docker/registry/v2/blobs/sha256", Cancel).SingleAsync(Cancel);
        Assert.True(begun > DateTimeOffset.UnixEpoch);
        await found.AbortAsync(Cancel);
        Assert.Equal(2, (await NamesAsync(swift)).Length);
        Assert.Equal(2, await bucket.SizeAsync(Path, Cancel));
    }

    [Theory]
    [InlineData("", "", "/")]
    [InlineData("/", "", "/")]
    [InlineData("", "/", "//")]
    [InlineData("", "//b", "//b/")]
    public async Task Names_are_those_of_registry_2_wherever_the_prefix_has_slashes(string before, string after, string end)
    {
        var swift = await SharedSwift.OrSkipAsync();
        var options = await _store.OptionsAsync();
        var folder = $"{_store.Root}-{Guid.NewGuid():N}";
        options.Prefix = $"{before}{folder}{after}";
        using var bucket = new SwiftBucket(options, TimeProvider.System);
        await bucket.PutTextAsync(Path, "text", Cancel);
        Assert.Equal(
            [$"{folder.TrimStart('/')}{end}files/{Path}"],
            (await swift.NamesAsync(Swift.Container)).Where(name => name.Contains(folder, StringComparison.Ordinal)));
        Assert.Equal(Path, (await bucket.ListAsync("docker/", null, Cancel).SingleAsync(Cancel)).Path);
        Assert.Equal("text", await bucket.ReadTextAsync(Path, Cancel));
    }

    [Fact]
    public async Task What_an_earlier_version_stored_at_a_prefix_without_its_slash_is_told_if_there_is_nothing_at_the_right_one()
    {
        await SharedSwift.OrSkipAsync();
        var options = await _store.OptionsAsync();
        var folder = $"{_store.Root}-{Guid.NewGuid():N}".TrimStart('/');
        options.Prefix = folder;
        using var before = new SwiftBucket(options, TimeProvider.System);
        options.Prefix = $"{folder}/";
        using var now = new SwiftBucket(options, TimeProvider.System);
        Assert.Null(await now.FindElsewhereAsync(Cancel));

        await before.PutTextAsync(Path, "text", Cancel);
        Assert.Null(await before.FindElsewhereAsync(Cancel));
        Assert.EndsWith($"set storage.swift.prefix to {folder}", await now.FindElsewhereAsync(Cancel), StringComparison.Ordinal);

        await now.PutTextAsync(Path, "text", Cancel);
        Assert.Null(await now.FindElsewhereAsync(Cancel));
    }

    [Fact]
    public async Task A_wrong_password_does_not_look_like_missing_content()
    {
        var options = await _store.OptionsAsync();
        options.Password = "wrong";
        using var bucket = new SwiftBucket(options, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.SizeAsync(Path, Cancel));
        Assert.Contains("authurl does not accept username and password", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_objects_are_deleted_at_once()
    {
        var bucket = _store.Bucket;
        string[] paths = [.. Enumerable.Range(0, 20).Select(number => $"docker/some/{number} ä")];
        foreach (var path in paths)
            await bucket.PutTextAsync(path, path, Cancel);
        Assert.Equal(paths[3], await bucket.ReadTextAsync(paths[3], Cancel));
        await bucket.DeleteAsync([.. paths, "docker/some/none"], Cancel);
        Assert.Empty(await bucket.ListAsync("docker/some/", null, Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task An_object_whose_last_answer_was_lost_keeps_its_segments()
    {
        var options = await _store.OptionsAsync();
        var (real, front) = (new Uri(options.AuthUrl!), new Uri($"http://127.0.0.1:{Ports.Free()}/"));
        var lost = 0;
        await using var proxy = await OwnServer.StartAsync(front, async context =>
        {
            using var request = new HttpRequestMessage(
                new(context.Request.Method), $"{real.GetLeftPart(UriPartial.Authority)}{RawTarget(context)}");
            if (context.Request.ContentLength is not null || context.Request.Headers.TransferEncoding.Count > 0)
                request.Content = new StreamContent(context.Request.Body);
            foreach (var (name, value) in context.Request.Headers)
                if (name is not ("Host" or "Transfer-Encoding" or "Connection")
                    && !request.Headers.TryAddWithoutValidation(name, value.AsEnumerable()))
                    request.Content?.Headers.TryAddWithoutValidation(name, value.AsEnumerable());
            using var answer = await Http.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            if (context.Request.Headers.ContainsKey("X-Object-Manifest") && Interlocked.Increment(ref lost) == 1)
            {
                context.Abort();
                return;
            }
            context.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (name, values) in answer.Headers.Concat(answer.Content.Headers))
                if (name is not ("Transfer-Encoding" or "Connection"))
                    context.Response.Headers[name] = values.Select(value =>
                        value.Replace(real.Authority, front.Authority, StringComparison.Ordinal)).ToArray();
            await answer.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
        });
        options.AuthUrl = new Uri(front, real.PathAndQuery).OriginalString;
        using var bucket = new SwiftBucket(options, TimeProvider.System);
        var upload = await bucket.BeginUploadAsync(Path, Cancel);
        await upload.PutPartAsync(1, () => new MemoryStream([1, 2]), 2, Cancel);
        await upload.PutPartAsync(2, () => new MemoryStream([3]), 1, Cancel);
        try
        {
            Assert.True(await upload.CompleteAsync(onlyIfAbsent: true, Cancel));
        }
        catch (StoreUnavailableException)
        {
            // Then the caller does not know either.
        }
        await upload.AbortAsync(Cancel);

        Assert.True(lost > 0);
        await using var stored = await _store.Bucket.OpenAsync(Path, 0, 3, Cancel);
        var bytes = new byte[3];
        await stored!.ReadExactlyAsync(bytes, Cancel);
        Assert.Equal([1, 2, 3], bytes);

        static string RawTarget(HttpContext context) => context.Features.Get<IHttpRequestFeature>()!.RawTarget;
    }

    private async Task<string[]> NamesAsync(Swift swift) =>
        [.. (await swift.NamesAsync(Swift.Container)).Where(name => name.StartsWith(_store.Root, StringComparison.Ordinal))];
}

/// <summary>A folder in Swift's container.</summary>
internal sealed class SwiftStore : BucketStore
{
    /// <summary>Whether it is a Swift whose tokens Keystone gives.</summary>
    internal bool IsWithKeystone { get; init; }

    internal async Task<SwiftOptions> OptionsAsync()
    {
        var options = new SwiftOptions
        {
            Container = Swift.Container,
            Prefix = Root,
            ChunkSize = 5 << 20,
            ScratchDirectory = Scratch,
        };
        if (IsWithKeystone)
            (options.AuthUrl, options.Username, options.Password, options.Tenant) = (
                (await SharedSwiftWithKeystone.OrSkipAsync()).AuthUrl.OriginalString, Keystone.User, Keystone.Password, Keystone.Project);
        else
            (options.AuthUrl, options.Username, options.Password) = (
                (await SharedSwift.OrSkipAsync()).AuthUrl.OriginalString, Swift.User, Swift.Password);
        return options;
    }

    internal override async Task<BucketOptions> SettingsAsync() => await OptionsAsync();

    internal override BucketStore Another() => new SwiftStore { Root = Root, IsWithKeystone = IsWithKeystone };

    protected override IBucket Connect(BucketOptions options) => new SwiftBucket((SwiftOptions)options, TimeProvider.System);
}
