using Mirror.Storage.Files;
using Xunit;

namespace Mirror.Storage.Tests;

/// <summary>The contract on a disk, and what only the disk shows.</summary>
public sealed class FileStoreTests : StoreContract, IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("mirror-store-").FullName;

    public FileStoreTests()
    {
        (Content, References) = (new FileContentStore(_root), new FileReferenceStore(_root));
    }

    protected override IContentStore Content { get; }

    protected override IReferenceStore References { get; }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Sha512_lies_where_registry_2_never_looks()
    {
        var name = RepositoryName.Parse("a/b");
        var digest = Digest.Of("x"u8, "sha512");
        await Content.PutAsync(digest, "x"u8.ToArray(), TestContext.Current.CancellationToken);
        await References.LinkBlobAsync(name, digest, TestContext.Current.CancellationToken);
        await References.LinkManifestAsync(name, digest, "a/b", TestContext.Current.CancellationToken);
        Assert.All(Directory.EnumerateFiles(_root, "*", SearchOption.AllDirectories), path =>
            Assert.True(path.StartsWith(Path.Combine(_root, "mirror"), StringComparison.Ordinal) || path.Contains("/_mirror/", StringComparison.Ordinal), path));
    }

    [Fact]
    public async Task A_list_of_tags_follows_changes_made_by_another_process()
    {
        var name = RepositoryName.Parse("a/b");
        var other = new FileReferenceStore(_root);
        for (var i = 0; i < 50; i++)
        {
            await other.SetTagAsync(name, $"t{i:00}", Digest.Of("x"u8), TestContext.Current.CancellationToken);
            Assert.Equal(i + 1, (await References.ListTagsAsync(name, TestContext.Current.CancellationToken)).Count);
        }
    }

    [Fact]
    public async Task A_tag_is_set_whatever_deletes_it_meanwhile()
    {
        var token = TestContext.Current.CancellationToken;
        var name = RepositoryName.Parse("a/b");
        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Task.Run(async () =>
        {
            for (var round = 0; round < 100; round++)
                if (i % 2 == 0)
                    await References.SetTagAsync(name, "t", Digest.Of("x"u8), token);
                else
                    await References.DeleteTagAsync(name, "t", token);
        }, token)));
        await References.SetTagAsync(name, "t", Digest.Of("x"u8), token);
        Assert.Equal(Digest.Of("x"u8), await References.ResolveTagAsync(name, "t", token));
    }

    [Fact]
    public async Task An_upload_is_found_again_with_what_arrived()
    {
        var token = TestContext.Current.CancellationToken;
        var uploads = new FileUploadStore(_root);
        var (name, id) = (RepositoryName.Parse("a/b"), Guid.NewGuid());
        Assert.Null(await uploads.LengthAsync(name, id, token));
        Assert.Null(await uploads.OpenAsync(name, id, "sha256", token));
        await uploads.StartAsync(name, id, DateTimeOffset.UtcNow, token);
        Assert.Equal(0, await uploads.LengthAsync(name, id, token));
        using (var spool = await uploads.OpenAsync(name, id, "sha256", token))
            spool!.Append([1, 2, 3]);
        Assert.Equal(3, await uploads.LengthAsync(name, id, token));
        await foreach (var stored in uploads.ListAsync(token))
            Assert.Equal((name, id), (stored.Name, stored.Id));
        Assert.True(await uploads.DeleteAsync(name, id, token));
        Assert.False(await uploads.DeleteAsync(name, id, token));
    }
}
