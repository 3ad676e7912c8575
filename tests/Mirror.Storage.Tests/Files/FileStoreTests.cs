using System.Globalization;
using Mirror.Storage.Files;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Files;

/// <summary>What only the file store does.</summary>
public sealed class FileStoreTests : StoreTests
{
    private readonly TempFolder _folder = new();

    protected override Task<Stores> CreateAsync() => Task.FromResult(FileStore.In(_folder));

    public override ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task Sha512_content_lies_where_registry_2_never_looks()
    {
        var name = Name("a/b");
        var digest = Digest.Of("x"u8, "sha512");
        await Content.PutAsync(digest, "x"u8.ToArray(), Cancel);
        await References.LinkBlobAsync(name, digest, Cancel);
        await References.LinkManifestAsync(name, digest, "a/b", Cancel);
        var ours = Path.Combine(_folder.Path, "mirror");
        Assert.All(Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories), path =>
            Assert.True(path.StartsWith(ours, StringComparison.Ordinal) || path.Contains("/_mirror/", StringComparison.Ordinal), path));
    }

    [Fact]
    public async Task A_list_of_tags_follows_changes_made_by_another_process()
    {
        var name = Name("a/b");
        var other = new FileReferenceStore(_folder.Path);
        for (var i = 0; i < 50; i++)
        {
            await other.SetTagAsync(name, $"t{i:00}", Digest.Of("x"u8), Cancel);
            Assert.Equal(i + 1, (await References.ListTagsAsync(name, Cancel)).Count);
            Assert.Equal(i + 1, (await References.ListTagsForClientAsync(name, Cancel)).Count);
        }
    }

    [Fact]
    public async Task A_tag_can_be_set_while_others_delete_it()
    {
        var name = Name("a/b");
        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Task.Run(async () =>
        {
            for (var round = 0; round < 100; round++)
                if (i % 2 == 0)
                    await References.SetTagAsync(name, "t", Digest.Of("x"u8), Cancel);
                else
                    await References.DeleteTagAsync(name, "t", Cancel);
        }, Cancel)));
        await References.SetTagAsync(name, "t", Digest.Of("x"u8), Cancel);
        Assert.Equal(Digest.Of("x"u8), await References.ResolveTagAsync(name, "t", Cancel));
    }

    [Fact]
    public async Task Disk_space_is_reserved_for_arriving_bytes_and_not_for_a_claimed_length()
    {
        const long block = 512;
        await using var spool = await Content.SpoolAsync(Any(1), Cancel);
        spool.ExpectedLength = 1L << 40;
        spool.Append(Bytes(300_000));
        var file = Assert.Single(Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories));
        Assert.Equal(300_000, new FileInfo(file).Length);
        Assert.InRange(await TakenAsync(), 300_000, 17 << 20);

        // An interrupted download may wait for days.
        await spool.DisposeAsync();
        Assert.Equal(300_000, new FileInfo(file).Length);
        Assert.InRange(await TakenAsync(), 300_000, 1 << 20);

        async Task<long> TakenAsync() =>
            long.Parse(await PeerProcess.RunAsync("stat", ["-c", "%b", file]), CultureInfo.InvariantCulture) * block;
    }

    [Fact]
    public async Task An_upload_is_found_with_the_bytes_that_arrived()
    {
        var uploads = new FileUploadStore(_folder.Path);
        var (name, id) = (Name("a/b"), Guid.NewGuid());
        Assert.Null(await uploads.LengthAsync(name, id, Cancel));
        Assert.Null(uploads.Open(name, id, "sha256"));
        uploads.Start(name, id, DateTimeOffset.UtcNow);
        Assert.Equal(0, await uploads.LengthAsync(name, id, Cancel));
        using (var spool = uploads.Open(name, id, "sha256"))
            spool!.Append([1, 2, 3]);
        Assert.Equal(3, await uploads.LengthAsync(name, id, Cancel));
        await foreach (var stored in uploads.ListAsync(Cancel))
            Assert.Equal((name, id), (stored.Name, stored.Id));
        Assert.True(await uploads.DeleteAsync(name, id, Cancel));
        Assert.False(await uploads.DeleteAsync(name, id, Cancel));
    }
}
