using System.Text;
using Xunit;

namespace Mirror.Storage.Tests;

/// <summary>What every store promises; each store derives from this and makes itself.</summary>
public abstract class StoreContract
{
    private static readonly RepositoryName Name = RepositoryName.Parse("a/b");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    protected abstract IContentStore Content { get; }

    protected abstract IReferenceStore References { get; }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task Small_content_is_there_once_it_is_put(string algorithm)
    {
        var bytes = "small"u8.ToArray();
        var digest = Digest.Of(bytes, algorithm);
        Assert.Null(await Content.OpenAsync(digest, Token));
        Assert.Null(await Content.SizeAsync(digest, Token));
        await Content.PutAsync(digest, bytes, Token);
        await Content.PutAsync(digest, bytes, Token);
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.Equal(5, await Content.SizeAsync(digest, Token));
        Assert.Equal([digest], await ToListAsync(Content.ListAsync(Token)));
    }

    [Fact]
    public async Task What_a_digest_does_not_name_is_never_put() =>
        await Assert.ThrowsAsync<ArgumentException>(async () => await Content.PutAsync(Digest.Of("a"u8), "b"u8.ToArray(), Token));

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task A_spool_is_content_once_it_is_committed_and_not_before(string algorithm)
    {
        var bytes = Bytes(300_000);
        var digest = Digest.Of(bytes, algorithm);
        await using var spool = await Content.SpoolAsync(digest, Token);
        spool.Append(bytes.AsSpan(0, 100_000));
        spool.Append(bytes.AsSpan(100_000));
        Assert.True(await spool.VerifyAsync(digest, Token));
        Assert.Null(await Content.SizeAsync(digest, Token));
        Assert.Empty(await ToListAsync(Content.ListAsync(Token)));
        await Content.CommitAsync(spool, digest, Token);
        Assert.Equal(bytes, await ReadAsync(digest));
    }

    [Fact]
    public async Task What_is_stored_already_may_be_committed_again()
    {
        var bytes = Bytes(1000);
        var digest = Digest.Of(bytes);
        await Content.PutAsync(digest, bytes, Token);
        await using var reader = await Content.OpenAsync(digest, Token);
        await using var spool = await Content.SpoolAsync(digest, Token);
        spool.Append(bytes);
        await Content.CommitAsync(spool, digest, Token);
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.Equal(bytes, await ReadAsync(reader!));
    }

    [Fact]
    public async Task A_spool_goes_on_where_an_earlier_one_ended()
    {
        var bytes = Bytes(5000);
        var digest = Digest.Of(bytes);
        await using (var first = await Content.SpoolAsync(digest, Token))
            first.Append(bytes.AsSpan(0, 2000));
        await using (var second = await Content.SpoolAsync(digest, Token))
        {
            Assert.Equal(2000, second.Length);
            Assert.False(await second.VerifyAsync(digest, Token));
            second.Append(bytes.AsSpan(2000, 1000));
        }
        await using var third = await Content.SpoolAsync(digest, Token);
        third.Append(bytes.AsSpan(3000));
        Assert.True(await third.VerifyAsync(digest, Token));
        Assert.True(await third.VerifyAsync(Digest.Of(bytes, "sha512"), Token));
        Assert.False(await third.VerifyAsync(Digest.Of("x"u8), Token));
    }

    [Fact]
    public async Task A_spool_that_is_reset_has_nothing_of_what_was_there()
    {
        var bytes = Bytes(100);
        await using (var first = await Content.SpoolAsync(Digest.Of(bytes), Token))
            first.Append([1, 2, 3]);
        await using var second = await Content.SpoolAsync(Digest.Of(bytes), Token);
        second.Reset();
        second.Append(bytes);
        Assert.Equal(100, second.Length);
        Assert.True(await second.VerifyAsync(Digest.Of(bytes), Token));
    }

    [Fact]
    public async Task A_reader_gets_the_last_bytes_only_when_they_are_known_to_be_right()
    {
        var bytes = Bytes(Spool.TailLength + 1000);
        var digest = Digest.Of(bytes);
        await using var spool = await Content.SpoolAsync(digest, Token);
        spool.ExpectedLength = bytes.Length;
        spool.Append(bytes);
        await using var reader = spool.OpenRead();
        var buffer = new byte[bytes.Length];
        Assert.Equal(1000, await reader.ReadAsync(0, buffer, Token));
        var tail = reader.ReadAsync(1000, buffer, Token).AsTask();
        Assert.False(tail.IsCompleted);
        spool.Complete();
        Assert.Equal(Spool.TailLength, await tail);
        Assert.Equal(0, await reader.ReadAsync(bytes.Length, buffer, Token));
    }

    [Fact]
    public async Task A_reader_of_what_failed_gets_no_end()
    {
        await using var spool = await Content.SpoolAsync(Digest.Of("x"u8), Token);
        await using var reader = spool.OpenRead();
        var read = reader.ReadAsync(0, new byte[10], Token).AsTask();
        spool.Fail(new InvalidOperationException("cut"));
        var failure = await Assert.ThrowsAsync<IOException>(() => read);
        Assert.IsType<InvalidOperationException>(failure.InnerException);
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task Deleted_content_is_gone(string algorithm)
    {
        var digest = Digest.Of("x"u8, algorithm);
        Assert.False(await Content.DeleteAsync(digest, Token));
        await Content.PutAsync(digest, "x"u8.ToArray(), Token);
        Assert.True(await Content.DeleteAsync(digest, Token));
        Assert.Null(await Content.OpenAsync(digest, Token));
        Assert.False(await Content.DeleteAsync(digest, Token));
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task A_blob_is_linked_into_one_repository(string algorithm)
    {
        var digest = Digest.Of("x"u8, algorithm);
        await References.LinkBlobAsync(Name, digest, Token);
        await References.LinkBlobAsync(Name, digest, Token);
        Assert.True(await References.ExistsAsync(Name, Token));
        Assert.True(await References.HasBlobAsync(Name, digest, Token));
        Assert.False(await References.HasBlobAsync(RepositoryName.Parse("a"), digest, Token));
        Assert.True(await References.UnlinkBlobAsync(Name, digest, Token));
        Assert.False(await References.UnlinkBlobAsync(Name, digest, Token));
        Assert.False(await References.HasBlobAsync(Name, digest, Token));
    }

    [Theory]
    [InlineData("sha256")]
    [InlineData("sha512")]
    public async Task A_manifest_is_linked_with_the_type_it_was_given_last(string algorithm)
    {
        var digest = Digest.Of("x"u8, algorithm);
        Assert.Equal((false, null), await References.FindManifestAsync(Name, digest, Token));
        await References.LinkManifestAsync(Name, digest, "a/b", Token);
        Assert.Equal((true, "a/b"), await References.FindManifestAsync(Name, digest, Token));
        await References.LinkManifestAsync(Name, digest, null, Token);
        Assert.Equal((true, null), await References.FindManifestAsync(Name, digest, Token));
        Assert.True(await References.UnlinkManifestAsync(Name, digest, Token));
        Assert.False(await References.UnlinkManifestAsync(Name, digest, Token));
        Assert.Equal((false, null), await References.FindManifestAsync(Name, digest, Token));
    }

    [Fact]
    public async Task A_tag_names_what_it_was_last_set_to()
    {
        var (one, two) = (Digest.Of("1"u8), Digest.Of("2"u8, "sha512"));
        Assert.Null(await References.ResolveTagAsync(Name, "t", Token));
        await References.SetTagAsync(Name, "t", one, Token);
        Assert.Equal(one, await References.ResolveTagAsync(Name, "t", Token));
        await References.SetTagAsync(Name, "t", two, Token);
        Assert.Equal(two, await References.ResolveTagAsync(Name, "t", Token));
        Assert.True(await References.DeleteTagAsync(Name, "t", Token));
        Assert.False(await References.DeleteTagAsync(Name, "t", Token));
        Assert.Null(await References.ResolveTagAsync(Name, "t", Token));
    }

    [Fact]
    public async Task Tags_are_listed_in_ordinal_order_and_after_every_change()
    {
        Assert.Empty(await References.ListTagsAsync(Name, Token));
        string[] tags = ["b", "A", "a.b", "a-b", "_", "10", "9"];
        for (var i = 0; i < tags.Length; i++)
        {
            await References.SetTagAsync(Name, tags[i], Digest.Of("x"u8), Token);
            Assert.Equal(tags[..(i + 1)].Order(StringComparer.Ordinal), await References.ListTagsAsync(Name, Token));
        }
        await References.DeleteTagAsync(Name, "b", Token);
        Assert.Equal(tags[1..].Order(StringComparer.Ordinal), await References.ListTagsAsync(Name, Token));
    }

    [Fact]
    public async Task Repositories_are_listed_in_the_order_of_their_names()
    {
        string[] names = ["a", "a-b", "a/b", "a/b/c", "b", "0"];
        foreach (var name in names)
            await References.LinkManifestAsync(RepositoryName.Parse(name), Digest.Of("x"u8), null, Token);
        Assert.Equal(names.Select(name => RepositoryName.Parse(name)).Order(), await ToListAsync(References.ListRepositoriesAsync(Token)));
    }

    [Fact]
    public async Task Many_at_once_do_not_disturb_each_other()
    {
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(async () =>
        {
            var bytes = Encoding.UTF8.GetBytes($"{i % 5}");
            var digest = Digest.Of(bytes);
            await Content.PutAsync(digest, bytes, Token);
            await References.LinkBlobAsync(Name, digest, Token);
            await References.SetTagAsync(Name, $"t{i % 3}", digest, Token);
            await References.DeleteTagAsync(Name, $"u{i % 3}", Token);
            await References.SetTagAsync(Name, $"u{i % 3}", digest, Token);
        }, Token)));
        Assert.Equal(5, (await ToListAsync(Content.ListAsync(Token))).Count);
        Assert.NotNull(await References.ResolveTagAsync(Name, "t0", Token));
    }

    private static byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private static async Task<List<T>> ToListAsync<T>(IAsyncEnumerable<T> items)
    {
        List<T> list = [];
        await foreach (var item in items)
            list.Add(item);
        return list;
    }

    private async Task<byte[]> ReadAsync(Digest digest)
    {
        await using var content = await Content.OpenAsync(digest, Token);
        return await ReadAsync(content!);
    }

    private static async Task<byte[]> ReadAsync(Content content)
    {
        var bytes = new byte[content.Length!.Value];
        for (var offset = 0; offset < bytes.Length;)
        {
            var read = await content.ReadAsync(offset, bytes.AsMemory(offset), Token);
            Assert.NotEqual(0, read);
            offset += read;
        }
        return bytes;
    }
}
