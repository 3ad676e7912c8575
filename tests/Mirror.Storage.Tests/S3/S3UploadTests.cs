using Amazon.S3.Model;
using Mirror.Storage.Buckets;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.S3;

/// <summary>How content gets into the bucket, as the bucket sees it.</summary>
public sealed class S3UploadTests : StoreTests
{
    private const int MiB = 1 << 20;

    private readonly S3Store _store = new();

    protected override Task<Stores> CreateAsync() => _store.OpenAsync();

    public override ValueTask DisposeAsync()
    {
        _store.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task Parts_are_uploaded_while_bytes_still_arrive()
    {
        var bytes = Bytes(12 * MiB);
        await using var spool = await Content.SpoolAsync(Digest.Of(bytes), Cancel);
        spool.Append(bytes.AsSpan(0, 11 * MiB));
        await Until.TrueAsync(async () => (await PartsAsync()).Count == 2, () => "The bucket did not get two parts.");
        spool.Append(bytes.AsSpan(11 * MiB));
        spool.Complete();
        await Content.CommitAsync(spool, Digest.Of(bytes), Cancel);
        Assert.Equal(bytes, await ReadAsync(Digest.Of(bytes)));
        Assert.Empty(await UploadsAsync());
    }

    [Fact]
    public async Task An_upload_whose_spool_fails_leaves_nothing()
    {
        await using var spool = await Content.SpoolAsync(Any(1), Cancel);
        spool.Append(Bytes(6 * MiB));
        await Until.TrueAsync(async () => (await PartsAsync()).Count == 1, () => "The bucket did not get a part.");
        spool.Fail(new IOException("Upstream went away."));
        await Until.TrueAsync(async () => (await UploadsAsync()).Count == 0, () => "The upload is still there.");
        Assert.Null(await Content.SizeAsync(Any(1), Cancel));
    }

    [Fact]
    public async Task An_upload_whose_spool_is_closed_leaves_nothing()
    {
        await using (var spool = await Content.SpoolAsync(Any(1), Cancel))
        {
            spool.Append(Bytes(6 * MiB));
            await Until.TrueAsync(async () => (await PartsAsync()).Count == 1, () => "The bucket did not get a part.");
        }
        await Until.TrueAsync(async () => (await UploadsAsync()).Count == 0, () => "The upload is still there.");
    }

    [Fact]
    public async Task Eight_commits_of_the_same_content_at_once_all_succeed()
    {
        var bytes = Bytes(6 * MiB);
        var digest = Digest.Of(bytes);
        var others = Enumerable.Range(0, 8).Select(_ => new S3Store()).ToList();
        try
        {
            await Task.WhenAll(others.Select(other => Task.Run(async () =>
            {
                var options = await other.OptionsAsync();
                options.RootDirectory = _store.Root;
                var content = other.Open(options).Content;
                await using var spool = await content.SpoolAsync(digest, Cancel);
                spool.Append(bytes);
                spool.Complete();
                await content.CommitAsync(spool, digest, Cancel);
            }, Cancel)));
        }
        finally
        {
            others.ForEach(other => other.Dispose());
        }
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.Empty(await UploadsAsync());
    }

    [Fact]
    public async Task Uploads_that_dead_processes_left_are_swept_once_they_are_old()
    {
        using var client = (await SharedRadosgw.OrSkipAsync()).Client();
        await client.InitiateMultipartUploadAsync(
            new InitiateMultipartUploadRequest { BucketName = Radosgw.Bucket, Key = Key(Any(1)) }, Cancel);
        var sweepable = _store.Sweepable((await _store.OptionsAsync()).Scratch);
        Assert.Equal((0, 0), await sweepable.SweepLeftoversAsync(DateTimeOffset.UtcNow, dryRun: false, Cancel));
        Assert.Equal((1, 0), await sweepable.SweepLeftoversAsync(DateTimeOffset.UtcNow.AddDays(2), dryRun: true, Cancel));
        Assert.Equal((1, 0), await sweepable.SweepLeftoversAsync(DateTimeOffset.UtcNow.AddDays(2), dryRun: false, Cancel));
        Assert.Empty(await UploadsAsync());
    }

    [Fact]
    public async Task Spools_are_swept_after_a_week_unless_they_are_open()
    {
        var scratch = (await _store.OptionsAsync()).Scratch;
        await using (var idle = await Content.SpoolAsync(Any(1), Cancel))
            idle.Append([1, 2]);
        await using var running = await Content.SpoolAsync(Any(2), Cancel);
        running.Append([1, 2, 3]);
        var sweepable = _store.Sweepable(scratch);
        Assert.Equal((0, 0), await sweepable.SweepLeftoversAsync(DateTimeOffset.UtcNow.AddDays(6), dryRun: false, Cancel));
        Assert.Equal((1, 2), await sweepable.SweepLeftoversAsync(DateTimeOffset.UtcNow.AddDays(8), dryRun: false, Cancel));
        Assert.Equal(Any(2).Hex, Path.GetFileName(Assert.Single(Directory.EnumerateFiles(scratch, "*", SearchOption.AllDirectories))));
    }

    [Fact]
    public async Task Two_processes_can_share_a_scratch_folder()
    {
        var bytes = Bytes(6 * MiB);
        var digest = Digest.Of(bytes);
        var options = await _store.OptionsAsync();
        using var bucket = new Storage.Buckets.S3.S3Bucket(options, TimeProvider.System);
        var other = new BucketContentStore(bucket, options, TimeProvider.System);
        await using var first = await Content.SpoolAsync(digest, Cancel);
        await using var second = await other.SpoolAsync(digest, Cancel);
        foreach (var (content, spool) in new[] { (Content, first), (other, second) })
        {
            spool.Append(bytes);
            spool.Complete();
            await content.CommitAsync(spool, digest, Cancel);
        }
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.Empty(await UploadsAsync());
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(6 * MiB)]
    public async Task An_object_of_another_length_is_replaced(int length)
    {
        var bytes = Bytes(length);
        using var client = (await SharedRadosgw.OrSkipAsync()).Client();
        await client.PutObjectAsync(new PutObjectRequest
        {
            BucketName = Radosgw.Bucket,
            Key = Key(Digest.Of(bytes)),
            ContentBody = "short",
            UseChunkEncoding = false,
        }, Cancel);
        Assert.Equal(bytes, await ReadAsync(await StoreAsync(bytes)));
    }

    [Fact]
    public async Task A_presigned_address_gives_the_content()
    {
        var bytes = Bytes(1000);
        await using var content = await Content.OpenAsync(await StoreAsync(bytes), Cancel);
        var address = await ((ILocatedContent)content!).LocateAsync(Cancel);
        Assert.Equal(bytes, await Http.Client.GetByteArrayAsync(address, Cancel));
    }

    private string Key(Digest digest) => $"{_store.Root}/{RegistryLayout.BlobData(digest)}";

    private async Task<List<MultipartUpload>> UploadsAsync()
    {
        using var client = (await SharedRadosgw.OrSkipAsync()).Client();
        var request = new ListMultipartUploadsRequest { BucketName = Radosgw.Bucket, Prefix = _store.Root };
        return (await client.ListMultipartUploadsAsync(request, Cancel)).MultipartUploads ?? [];
    }

    private async Task<List<PartDetail>> PartsAsync()
    {
        if ((await UploadsAsync()) is not [var upload])
            return [];
        using var client = (await SharedRadosgw.OrSkipAsync()).Client();
        var request = new ListPartsRequest { BucketName = Radosgw.Bucket, Key = upload.Key, UploadId = upload.UploadId };
        return (await client.ListPartsAsync(request, Cancel)).Parts ?? [];
    }
}
