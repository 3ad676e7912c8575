using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.S3;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.S3;

/// <summary>A store that goes away, or refuses the credentials. Only these tests use the fragile gateway, one after the other.</summary>
public sealed class S3FaultTests : StoreTests
{
    private const int MiB = 1 << 20;

    private readonly S3Store _store = new();
    private Radosgw _ceph = null!;

    protected override async Task<Stores> CreateAsync()
    {
        _ceph = await SharedRadosgw.OrSkipAsync();
        await _ceph.StartGatewayAsync();
        var options = await _store.OptionsAsync();
        options.RegionEndpoint = _ceph.FragileUrl.OriginalString;
        return _store.Open(options);
    }

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task A_read_continues_after_the_byte_where_it_was_cut()
    {
        var bytes = Bytes(40 * MiB);
        await using var content = await Content.OpenAsync(await StoreAsync(bytes), Cancel);
        await content!.PrepareAsync(0, bytes.Length, Cancel);
        var begun = new byte[MiB];
        var read = await content.ReadAsync(0, begun, Cancel);
        await _ceph.KillGatewayAsync();
        await _ceph.StartGatewayAsync();
        Assert.Equal(bytes[..read], begun[..read]);
        var rest = new byte[bytes.Length - read];
        for (var filled = 0; filled < rest.Length;)
            filled += await content.ReadAsync(read + filled, rest.AsMemory(filled), Cancel);
        Assert.Equal(bytes[read..], rest);
    }

    [Fact]
    public async Task A_store_that_is_gone_is_unavailable_and_nothing_is_missing()
    {
        var bytes = Bytes(40 * MiB);
        var digest = await StoreAsync(bytes);
        await using var content = await Content.OpenAsync(digest, Cancel);
        await _ceph.KillGatewayAsync();
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await ReadAsync(content!, 0, bytes.Length));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await Content.SizeAsync(digest, Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.HasBlobAsync(Name("a"), digest, Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await References.ListTagsAsync(Name("a"), Cancel));
    }

    [Fact]
    public async Task A_commit_that_is_cut_off_stores_nothing_and_can_be_repeated()
    {
        var bytes = Bytes(40 * MiB);
        var digest = Digest.Of(bytes);
        await using var spool = await Content.SpoolAsync(digest, Cancel);
        spool.Append(bytes.AsSpan(0, 11 * MiB));
        await _ceph.KillGatewayAsync();
        spool.Append(bytes.AsSpan(11 * MiB));
        spool.Complete();
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await Content.CommitAsync(spool, digest, Cancel));

        await _ceph.StartGatewayAsync();
        Assert.Null(await Content.SizeAsync(digest, Cancel));
        await Content.CommitAsync(spool, digest, Cancel);
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task A_wrong_secret_does_not_look_like_missing_content()
    {
        var options = await _store.OptionsAsync();
        options.SecretKey = "wrong";
        using var other = new S3Store();
        var content = other.Open(options).Content;
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(
            async () => await content.PutAsync(Digest.Of([1]), new byte[] { 1 }, Cancel));
        Assert.Contains("SignatureDoesNotMatch", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await content.SizeAsync(Any(1), Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await ListAsync(content.ListAsync(Cancel)));
    }

    [Fact]
    public async Task A_bucket_that_does_not_exist_is_named_in_the_error()
    {
        var options = await _store.OptionsAsync();
        options.Bucket = "nowhere";
        using var bucket = new S3Bucket(options, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.CheckAsync(Cancel));
        Assert.Contains("NoSuchBucket", refused.Message, StringComparison.Ordinal);
    }
}
