using Amazon.S3.Model;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.S3;

/// <summary>Copies of the bucket's content on a local disk.</summary>
public sealed class LocalCacheTests : StoreTests
{
    private const int Size = 100_000;

    private readonly S3Store _store = new();
    private readonly TempFolder _cache = new();
    private S3Options _options = null!;

    protected override async Task<Stores> CreateAsync()
    {
        _options = await _store.OptionsAsync();
        _options.LocalCache = new() { Path = _cache.Path, MaxSize = 3 * Size };
        return _store.Open(_options);
    }

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        _cache.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task What_was_committed_is_read_from_the_disk()
    {
        var bytes = Bytes(Size);
        var digest = await StoreAsync(bytes);
        Assert.True(IsCached(digest));
        await RemoveFromBucketAsync(digest);
        Assert.Equal(bytes, await ReadAsync(digest));
        // Only the bucket decides whether content is stored. When it says that it is not, the copy goes: a pull would find it for ever.
        Assert.Null(await Content.SizeAsync(digest, Cancel));
        Assert.False(IsCached(digest));
        Assert.Null(await Content.OpenAsync(digest, Cancel));
    }

    [Fact]
    public async Task What_was_read_whole_is_kept_and_what_was_read_in_part_is_not()
    {
        var bytes = Bytes(Size);
        var digest = Digest.Of(bytes);
        await PutByAnotherAsync(digest, bytes);
        Assert.Equal(bytes[..(Size / 2)], await ReadAsync(digest, 0, Size / 2));
        Assert.Equal(bytes[10..], await ReadAsync(digest, 10));
        Assert.False(IsCached(digest));
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.True(IsCached(digest));
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task What_was_put_is_read_from_the_disk()
    {
        var bytes = Bytes(Size);
        var digest = Digest.Of(bytes);
        await Content.PutAsync(digest, bytes, Cancel);
        await RemoveFromBucketAsync(digest);
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task Damaged_content_is_not_kept()
    {
        using var client = (await SharedRadosgw.OrSkipAsync()).Client();
        await client.PutObjectAsync(new PutObjectRequest
        {
            BucketName = Radosgw.Bucket,
            Key = Key(Any(1)),
            InputStream = new MemoryStream(Bytes(Size)),
            UseChunkEncoding = false,
        }, Cancel);
        Assert.NotNull(await ReadAsync(Any(1)));
        Assert.False(IsCached(Any(1)));
    }

    [Fact]
    public async Task The_least_recently_read_goes_first_also_after_a_restart()
    {
        List<Digest> digests = [];
        for (var i = 0; i < 3; i++)
            digests.Add(await StoreAsync(Bytes(Size)));
        await ReadAsync(digests[0]);
        _store.Open(_options);
        digests.Add(await StoreInAsync(_store.Open(_options).Content, Bytes(Size)));
        Assert.Equal([true, false, true, true], digests.Select(IsCached));
        var files = Directory.EnumerateFiles(_cache.Path, "*", SearchOption.AllDirectories);
        Assert.Equal(3 * Size, files.Sum(file => new FileInfo(file).Length));
    }

    [Fact]
    public async Task Content_longer_than_the_cache_is_not_kept()
    {
        var bytes = Bytes((3 * Size) + 1);
        var digest = await StoreAsync(bytes);
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.False(IsCached(digest));
    }

    [Fact]
    public async Task Deleted_content_leaves_the_disk_too()
    {
        var digest = await StoreAsync(Bytes(Size));
        Assert.True(await Content.DeleteAsync(digest, Cancel));
        Assert.Null(await Content.OpenAsync(digest, Cancel));
        Assert.False(IsCached(digest));
    }

    private async Task PutByAnotherAsync(Digest digest, byte[] bytes)
    {
        using var other = new S3Store();
        var options = await other.OptionsAsync();
        options.RootDirectory = _store.Root;
        await other.Open(options).Content.PutAsync(digest, bytes, Cancel);
    }

    private static async Task<Digest> StoreInAsync(IContentStore content, byte[] bytes)
    {
        var digest = Digest.Of(bytes);
        await using var spool = await content.SpoolAsync(digest, Cancel);
        spool.Append(bytes);
        spool.Complete();
        await content.CommitAsync(spool, digest, Cancel);
        return digest;
    }

    private bool IsCached(Digest digest) => File.Exists(Path.Combine(_cache.Path, "content", digest.Algorithm, digest.Hex));

    private string Key(Digest digest) => $"{_store.Root}/{RegistryLayout.BlobData(digest)}";

    private async Task RemoveFromBucketAsync(Digest digest)
    {
        using var client = (await SharedRadosgw.OrSkipAsync()).Client();
        await client.DeleteObjectAsync(Radosgw.Bucket, Key(digest), Cancel);
    }
}
