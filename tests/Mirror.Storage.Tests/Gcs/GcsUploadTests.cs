using System.Collections.Concurrent;
using Mirror.Storage.Buckets;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Gcs;
using Xunit;

namespace Mirror.Storage.Tests.Gcs;

/// <summary>How content gets into Google's bucket when something goes wrong on the way.</summary>
public sealed class GcsUploadTests : StoreTests
{
    private const int MiB = 1 << 20;

    private GoogleStorage _server = null!;
    private GcsStore _store = null!;

    protected override async Task<Stores> CreateAsync()
    {
        _server = await GoogleStorage.StartAsync();
        _store = new GcsStore { Server = _server };
        return await _store.OpenAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        _store.Dispose();
        await _server.DisposeAsync();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task A_part_that_is_cut_off_continues_after_the_bytes_that_came()
    {
        _server.Faults.Set(request =>
            request.Query.ContainsKey("upload_id") && _server.Faults.Count < 2 ? StoreFault.CutAfter(700_000) : null);
        // The last part is no whole number of units.
        var bytes = Bytes(12 * MiB + 17);
        Assert.Equal(bytes, await ReadAsync(await StoreAsync(bytes)));
        Assert.Equal(2, _server.Faults.Count);
        Assert.Equal(0, _server.OpenUploads);
    }

    [Fact]
    public async Task Whole_units_are_stored_too()
    {
        var bytes = Bytes(15 * MiB);
        Assert.Equal(bytes, await ReadAsync(await StoreAsync(bytes)));
        Assert.Equal(0, _server.OpenUploads);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(429)]
    public async Task What_the_service_cannot_do_now_is_asked_again(int status)
    {
        // Each request but those for tokens, the first time.
        var seen = new ConcurrentDictionary<string, bool>();
        _server.Faults.Set(request => request.Path != "/token"
            && seen.TryAdd($"{request.Method} {request.Path}{request.QueryString} {request.Headers.ContentRange}", true)
            ? StoreFault.Status(status)
            : null);
        var bytes = Bytes(6 * MiB);
        Assert.Equal(bytes, await ReadAsync(await StoreAsync(bytes)));
    }

    [Fact]
    public async Task A_token_that_is_no_longer_accepted_is_renewed()
    {
        var bytes = Bytes(1000);
        var digest = await StoreAsync(bytes);
        _server.RevokeTokens();
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task A_damaged_object_is_replaced_by_an_upload_in_parts_and_a_whole_one_is_left()
    {
        var bytes = Bytes(7 * MiB);
        var digest = await StoreAsync(bytes);
        await using (var content = await Content.OpenAsync(digest, Cancel))
            Assert.NotNull(content);
        var path = Mirror.Storage.Stores.RegistryLayout.BlobData(digest);
        var written = (await _store.Bucket.FindAsync(path, Cancel))!.Value.Written;
        await StoreAsync(bytes);
        Assert.Equal(written, (await _store.Bucket.FindAsync(path, Cancel))!.Value.Written);

        await _store.Bucket.PutTextAsync(path, "damaged", Cancel);
        await StoreAsync(bytes);
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.Equal(0, _server.OpenUploads);
    }

    [Fact]
    public async Task An_object_that_appears_during_an_upload_is_left()
    {
        var bytes = Bytes(7 * MiB);
        var upload = await _store.Bucket.BeginUploadAsync("a", Cancel);
        await upload.PutPartAsync(1, () => new MemoryStream(bytes), bytes.Length, Cancel);
        await _store.Bucket.PutTextAsync("a", "other", Cancel);
        Assert.False(await upload.CompleteAsync(onlyIfAbsent: true, Cancel));
        Assert.Equal("other", await _store.Bucket.ReadTextAsync("a", Cancel));

        Assert.True(await upload.CompleteAsync(onlyIfAbsent: false, Cancel));
        Assert.Equal(bytes.Length, await _store.Bucket.SizeAsync("a", Cancel));
    }

    [Fact]
    public async Task A_refusal_says_what_is_wrong()
    {
        _server.Faults.Set(request => request.Path == "/token" ? null : StoreFault.Status(403));
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => StoreAsync(Bytes(10)));
        Assert.StartsWith("gs://mirror/", refused.Message, StringComparison.Ordinal);
        Assert.Contains("refused: 403", refused.Message, StringComparison.Ordinal);
    }
}
