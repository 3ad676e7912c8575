using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests;

/// <summary>What every <see cref="IContentStore"/> must do.</summary>
public abstract class ContentStoreTests : StoreTests
{
    // More than one part of a multipart upload, with a last part that is not full.
    private const int Long = (13 << 20) + 17;

    [Theory]
    [InlineData(0, "sha256")]
    [InlineData(1, "sha256")]
    [InlineData(Spool.TailLength + 1, "sha256")]
    [InlineData(Long, "sha256")]
    [InlineData(1000, "sha512")]
    public async Task Committed_content_can_be_read(int length, string algorithm)
    {
        var bytes = Bytes(length);
        var digest = await StoreAsync(bytes, algorithm);
        Assert.Equal(length, await Content.SizeAsync(digest, Cancel));
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task Content_that_was_put_can_be_read(string algorithm)
    {
        var bytes = Bytes(1000);
        var digest = Digest.Of(bytes, algorithm);
        Assert.Null(await Content.OpenAsync(digest, Cancel));
        Assert.Null(await Content.SizeAsync(digest, Cancel));
        await Content.PutAsync(digest, bytes, Cancel);
        await Content.PutAsync(digest, bytes, Cancel);
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.Equal(1000, await Content.SizeAsync(digest, Cancel));
        Assert.Equal([digest], await ListAsync(Content.ListAsync(Cancel)));
    }

    [Fact]
    public async Task Bytes_that_do_not_match_the_digest_are_not_put()
    {
        await Assert.ThrowsAsync<ArgumentException>(async () => await Content.PutAsync(Any(1), Bytes(10), Cancel));
        Assert.Null(await Content.SizeAsync(Any(1), Cancel));
    }

    [Fact]
    public async Task Absent_content_is_null()
    {
        Assert.Null(await Content.OpenAsync(Any(1), Cancel));
        Assert.Null(await Content.SizeAsync(Any(1), Cancel));
        Assert.False(await Content.DeleteAsync(Any(1), Cancel));
    }

    [Fact]
    public async Task Any_part_can_be_read_in_any_order()
    {
        var bytes = Bytes(Long);
        var digest = await StoreAsync(bytes);
        await using var content = await Content.OpenAsync(digest, Cancel);
        foreach (var (from, until) in new[] { (0, 1), (Long - 1, Long), (5 << 20, (5 << 20) + 100), (17, 300_000), (0, Long) })
            Assert.Equal(bytes[from..until], await ReadAsync(content!, from, until));
        Assert.Equal(0, await content!.ReadAsync(Long, new byte[1], Cancel));
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task Content_is_not_visible_before_it_is_committed(string algorithm)
    {
        var bytes = Bytes(Long);
        var digest = Digest.Of(bytes, algorithm);
        await using var spool = await Content.SpoolAsync(digest, Cancel);
        spool.Append(bytes.AsSpan(0, 100_000));
        spool.Append(bytes.AsSpan(100_000));
        Assert.True(await spool.VerifyAsync(digest, Cancel));
        spool.Complete();
        Assert.Null(await Content.SizeAsync(digest, Cancel));
        Assert.Empty(await ListAsync(Content.ListAsync(Cancel)));
        await Content.CommitAsync(spool, digest, Cancel);
        Assert.Equal([digest], await ListAsync(Content.ListAsync(Cancel)));
    }

    [Fact]
    public async Task Readers_of_a_spool_go_on_while_and_after_it_is_committed()
    {
        var bytes = Bytes(Long);
        var digest = Digest.Of(bytes);
        await using var spool = await Content.SpoolAsync(digest, Cancel);
        spool.ExpectedLength = Long;
        await using var reader = spool.OpenRead();
        var reading = ReadAsync(reader, 0, Long);
        foreach (var piece in bytes.Chunk(100_000))
            spool.Append(piece);
        spool.Complete();
        await Content.CommitAsync(spool, digest, Cancel);
        Assert.Equal(bytes, await reading);
        Assert.Equal(bytes[100..200], await ReadAsync(reader, 100, 200));
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task Bytes_that_an_earlier_process_spooled_are_kept()
    {
        var bytes = Bytes(Long);
        var digest = Digest.Of(bytes);
        await using (var first = await Content.SpoolAsync(digest, Cancel))
            first.Append(bytes.AsSpan(0, 8 << 20));
        await using var second = await Content.SpoolAsync(digest, Cancel);
        Assert.Equal(8 << 20, second.Length);
        second.Append(bytes.AsSpan(8 << 20));
        Assert.True(await second.VerifyAsync(digest, Cancel));
        second.Complete();
        await Content.CommitAsync(second, digest, Cancel);
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task A_private_spool_is_always_empty_and_can_be_committed()
    {
        var bytes = Bytes(Long);
        var digest = Digest.Of(bytes);
        await using (var left = await Content.SpoolAsync(digest, Cancel))
            left.Append(bytes.AsSpan(0, 8 << 20));
        await using var own = await Content.SpoolPrivatelyAsync(digest, Cancel);
        Assert.Equal(0, own.Length);
        own.Append(bytes);
        Assert.True(await own.VerifyAsync(digest, Cancel));
        own.Complete();
        await Content.CommitAsync(own, digest, Cancel);
        Assert.Equal(bytes, await ReadAsync(digest));
        await using var found = await Content.SpoolAsync(digest, Cancel);
        Assert.Equal(8 << 20, found.Length);
    }

    [Fact]
    public async Task A_spool_that_several_processes_wrote_is_verified_whole()
    {
        var bytes = Bytes(5000);
        var digest = Digest.Of(bytes);
        await using (var first = await Content.SpoolAsync(digest, Cancel))
            first.Append(bytes.AsSpan(0, 2000));
        await using (var second = await Content.SpoolAsync(digest, Cancel))
        {
            Assert.Equal(2000, second.Length);
            Assert.False(await second.VerifyAsync(digest, Cancel));
            second.Append(bytes.AsSpan(2000, 1000));
        }
        await using var third = await Content.SpoolAsync(digest, Cancel);
        third.Append(bytes.AsSpan(3000));
        Assert.True(await third.VerifyAsync(digest, Cancel));
        Assert.True(await third.VerifyAsync(Digest.Of(bytes, "sha512"), Cancel));
        Assert.False(await third.VerifyAsync(Any(1), Cancel));
    }

    [Fact]
    public async Task A_reader_gets_the_last_bytes_only_after_verification()
    {
        var bytes = Bytes(Spool.TailLength + 1000);
        await using var spool = await Content.SpoolAsync(Digest.Of(bytes), Cancel);
        spool.ExpectedLength = bytes.Length;
        spool.Append(bytes);
        await using var reader = spool.OpenRead();
        var buffer = new byte[bytes.Length];
        Assert.Equal(1000, await reader.ReadAsync(0, buffer, Cancel));
        var tail = reader.ReadAsync(1000, buffer, Cancel).AsTask();
        Assert.False(tail.IsCompleted);
        spool.Complete();
        Assert.Equal(Spool.TailLength, await tail);
        Assert.Equal(0, await reader.ReadAsync(bytes.Length, buffer, Cancel));
    }

    [Fact]
    public async Task A_reader_of_a_failed_spool_gets_no_end()
    {
        await using var spool = await Content.SpoolAsync(Any(1), Cancel);
        await using var reader = spool.OpenRead();
        var read = reader.ReadAsync(0, new byte[10], Cancel).AsTask();
        spool.Fail(new InvalidOperationException("cut"));
        var failure = await Assert.ThrowsAsync<IOException>(() => read);
        Assert.IsType<InvalidOperationException>(failure.InnerException);
    }

    [Fact]
    public async Task A_spool_that_was_reset_keeps_none_of_its_old_bytes()
    {
        var bytes = Bytes(Long);
        var digest = Digest.Of(bytes);
        await using (var wrong = await Content.SpoolAsync(digest, Cancel))
            wrong.Append(Bytes(8 << 20));
        await using var spool = await Content.SpoolAsync(digest, Cancel);
        spool.Reset();
        spool.Append(bytes);
        Assert.Equal(Long, spool.Length);
        Assert.True(await spool.VerifyAsync(digest, Cancel));
        spool.Complete();
        await Content.CommitAsync(spool, digest, Cancel);
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task Content_can_be_committed_again()
    {
        var bytes = Bytes(Long);
        await using var reader = await Content.OpenAsync(await StoreAsync(bytes), Cancel);
        Assert.Equal(bytes, await ReadAsync(await StoreAsync(bytes)));
        Assert.Equal(bytes, await ReadAsync(reader!, 0, Long));
    }

    [Fact]
    public async Task Eight_concurrent_puts_of_the_same_content_all_succeed()
    {
        var bytes = Bytes(100_000);
        var digest = Digest.Of(bytes);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () => await Content.PutAsync(digest, bytes, Cancel), Cancel)));
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.Equal([digest], await ListAsync(Content.ListAsync(Cancel)));
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task Deleted_content_is_gone_and_can_be_stored_again(string algorithm)
    {
        var bytes = Bytes(1000);
        var digest = await StoreAsync(bytes, algorithm);
        Assert.True(await Content.DeleteAsync(digest, Cancel));
        Assert.False(await Content.DeleteAsync(digest, Cancel));
        Assert.Null(await Content.OpenAsync(digest, Cancel));
        Assert.Empty(await ListAsync(Content.ListAsync(Cancel)));
        await StoreAsync(bytes, algorithm);
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task All_content_is_listed_once()
    {
        List<Digest> stored = [];
        for (var i = 0; i < 20; i++)
            stored.Add(await StoreAsync(Bytes(100), i % 2 == 0 ? "sha256" : "sha512"));
        var listed = await ListAsync(Content.ListAsync(Cancel));
        Assert.Equal(stored.Select(digest => digest.ToString()).Order(), listed.Select(digest => digest.ToString()).Order());
    }
}
