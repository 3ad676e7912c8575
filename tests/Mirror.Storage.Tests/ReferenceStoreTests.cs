using System.Text;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests;

/// <summary>What every <see cref="IReferenceStore"/> and <see cref="IReferrerStore"/> must do.</summary>
public abstract class ReferenceStoreTests : StoreTests
{
    private static readonly RepositoryName Nginx = Name("library/nginx");
    private static readonly Digest Sha512 = Digest.Of([1], "sha512");

    /// <summary>More than a bucket lists in one answer.</summary>
    protected virtual int ManyTags => 1100;

    [Fact]
    public async Task A_blob_belongs_to_the_repositories_it_was_linked_into()
    {
        foreach (var digest in new[] { Any(1), Sha512 })
        {
            Assert.False(await References.HasBlobAsync(Nginx, digest, Cancel));
            await References.LinkBlobAsync(Nginx, digest, Cancel);
            await References.LinkBlobAsync(Nginx, digest, Cancel);
            Assert.True(await References.ExistsAsync(Nginx, Cancel));
            Assert.True(await References.HasBlobAsync(Nginx, digest, Cancel));
            Assert.False(await References.HasBlobAsync(Name("library"), digest, Cancel));
            Assert.True(await References.UnlinkBlobAsync(Nginx, digest, Cancel));
            Assert.False(await References.UnlinkBlobAsync(Nginx, digest, Cancel));
            Assert.False(await References.HasBlobAsync(Nginx, digest, Cancel));
        }
    }

    [Fact]
    public async Task A_manifest_is_found_with_the_type_it_was_linked_with_last()
    {
        foreach (var digest in new[] { Any(1), Sha512 })
        {
            Assert.Equal((false, null), await References.FindManifestAsync(Nginx, digest, Cancel));
            await References.LinkManifestAsync(Nginx, digest, "application/vnd.example+json", Cancel);
            Assert.Equal((true, "application/vnd.example+json"), await References.FindManifestAsync(Nginx, digest, Cancel));
            await References.LinkManifestAsync(Nginx, digest, null, Cancel);
            Assert.Equal((true, null), await References.FindManifestAsync(Nginx, digest, Cancel));
            Assert.True(await References.UnlinkManifestAsync(Nginx, digest, Cancel));
            Assert.False(await References.UnlinkManifestAsync(Nginx, digest, Cancel));
            Assert.Equal((false, null), await References.FindManifestAsync(Nginx, digest, Cancel));
        }
    }

    [Fact]
    public async Task A_tag_names_the_digest_it_was_set_to_last()
    {
        Assert.Null(await References.ResolveTagAsync(Nginx, "latest", Cancel));
        await References.SetTagAsync(Nginx, "latest", Any(1), Cancel);
        Assert.Equal(Any(1), await References.ResolveTagAsync(Nginx, "latest", Cancel));
        await References.SetTagAsync(Nginx, "latest", Sha512, Cancel);
        Assert.Equal(Sha512, await References.ResolveTagAsync(Nginx, "latest", Cancel));
        await References.SetTagAsync(Nginx, "latest", Any(2), Cancel);
        Assert.Equal(Any(2), await References.ResolveTagAsync(Nginx, "latest", Cancel));
        await References.SetTagAsync(Nginx, "latest", Any(1), Cancel);
        Assert.Equal(Any(1), await References.ResolveTagAsync(Nginx, "latest", Cancel));
        Assert.Null(await References.ResolveTagAsync(Nginx, "lates", Cancel));
        Assert.True(await References.DeleteTagAsync(Nginx, "latest", Cancel));
        Assert.False(await References.DeleteTagAsync(Nginx, "latest", Cancel));
        Assert.Null(await References.ResolveTagAsync(Nginx, "latest", Cancel));
    }

    [Fact]
    public async Task Deleting_a_tag_leaves_tags_whose_names_begin_the_same()
    {
        foreach (var tag in new[] { "1", "1.0", "1-a" })
            await References.SetTagAsync(Nginx, tag, Any(1), Cancel);
        Assert.True(await References.DeleteTagAsync(Nginx, "1", Cancel));
        Assert.Equal(["1-a", "1.0"], await References.ListTagsAsync(Nginx, Cancel));
    }

    [Fact]
    public async Task Tags_are_listed_in_ordinal_order_and_after_every_change()
    {
        Assert.Empty(await References.ListTagsAsync(Nginx, Cancel));
        string[] tags = ["b", "a.1", "a", "a-1", "B", "_x", "_", "a0", "10", "9"];
        for (var i = 0; i < tags.Length; i++)
        {
            await References.SetTagAsync(Nginx, tags[i], Any(1), Cancel);
            Assert.Equal(tags[..(i + 1)].Order(StringComparer.Ordinal), await References.ListTagsAsync(Nginx, Cancel));
        }
        await References.DeleteTagAsync(Nginx, "b", Cancel);
        Assert.Equal(["10", "9", "B", "_", "_x", "a", "a-1", "a.1", "a0"], await References.ListTagsAsync(Nginx, Cancel));
    }

    [Fact]
    public async Task The_tags_that_name_a_manifest_are_found_also_when_they_named_another_one()
    {
        foreach (var (tag, digest) in new[] { ("1", Any(1)), ("1.0", Any(1)), ("2", Any(2)), ("moved", Any(2)), ("moved", Any(1)) })
            await References.SetTagAsync(Nginx, tag, digest, Cancel);
        await References.SetTagAsync(Nginx, "gone", Any(1), Cancel);
        await References.DeleteTagAsync(Nginx, "gone", Cancel);

        List<string> naming = [];
        foreach (var tag in await References.ListTagsAsync(Nginx, Any(1), Cancel))
            if (await References.ResolveTagAsync(Nginx, tag, Cancel) == Any(1))
                naming.Add(tag);
        Assert.Equal(["1", "1.0", "moved"], naming);
        Assert.Empty(await References.ListTagsAsync(RepositoryName.Parse("library/none"), Any(1), Cancel));
    }

    [Fact]
    public async Task More_tags_than_one_answer_of_a_bucket_holds_are_all_listed()
    {
        var tags = Enumerable.Range(0, ManyTags).Select(i => $"{i:0000}").ToList();
        await Parallel.ForEachAsync(tags, Cancel, async (tag, stop) => await References.SetTagAsync(Nginx, tag, Any(1), stop));
        Assert.Equal(tags, await References.ListTagsAsync(Nginx, Cancel));
    }

    [Fact]
    public async Task Repositories_are_listed_in_the_order_of_their_names()
    {
        string[] names = ["a", "a-b", "a-b.c", "a-b/c", "a.b", "a/b", "a/b/c", "a0", "z/y/x"];
        // A manifest makes a repository as well as a blob does.
        foreach (var (i, name) in names.Reverse().Index())
            await (i % 2 == 0
                ? References.LinkBlobAsync(Name(name), Any(1), Cancel)
                : References.LinkManifestAsync(Name(name), Any(1), null, Cancel));
        Assert.Equal(names, (await ListAsync(References.ListRepositoriesAsync(Cancel))).Select(name => name.ToString()));
        foreach (var (i, last) in names.Index())
            Assert.Equal(names[(i + 1)..], await AfterAsync(last));
        Assert.Equal(names[6..], await AfterAsync("a/b/bb"));
        Assert.Equal(names[5..], await AfterAsync("a/"));
        Assert.Equal(names[1..], await AfterAsync("a\u0001"));
        Assert.Equal(names, await AfterAsync("Z"));
        Assert.Equal(names, await AfterAsync(""));

        // What comes later is seen at once.
        await References.LinkBlobAsync(Name("a/b/d"), Any(1), Cancel);
        Assert.Equal(["a/b/d", "a0", "z/y/x"], await AfterAsync("a/b/c"));

        async Task<List<string>> AfterAsync(string last) =>
            (await ListAsync(References.ListRepositoriesAfterAsync(last, Cancel))).ConvertAll(name => name.ToString());
    }

    [Fact]
    public async Task A_repository_exists_with_its_first_link()
    {
        Assert.False(await References.ExistsAsync(Nginx, Cancel));
        await References.LinkManifestAsync(Nginx, Any(1), null, Cancel);
        Assert.True(await References.ExistsAsync(Nginx, Cancel));
        Assert.False(await References.ExistsAsync(Name("library"), Cancel));
        Assert.False(await References.ExistsAsync(Name("library/ngin"), Cancel));
        Assert.Equal([Nginx], await ListAsync(References.ListRepositoriesAsync(Cancel)));
    }

    [Fact]
    public async Task Referrers_are_kept_with_their_descriptors()
    {
        Assert.Empty(await Referrers.ListAsync(Nginx, Any(1), Cancel));
        await Referrers.AddAsync(Nginx, Any(1), Any(2), "{\"a\":\"\u00e9\"}"u8.ToArray(), Cancel);
        await Referrers.AddAsync(Nginx, Any(1), Sha512, "{}"u8.ToArray(), Cancel);
        Assert.Equivalent(new[] { Any(2), Sha512 }, await Referrers.ListAsync(Nginx, Any(1), Cancel));
        Assert.Equal("{\"a\":\"\u00e9\"}"u8.ToArray(), await Referrers.ReadAsync(Nginx, Any(1), Any(2), Cancel));
        Assert.True(await Referrers.RemoveAsync(Nginx, Any(1), Any(2), Cancel));
        Assert.False(await Referrers.RemoveAsync(Nginx, Any(1), Any(2), Cancel));
        Assert.Null(await Referrers.ReadAsync(Nginx, Any(1), Any(2), Cancel));
        Assert.Equal([Sha512], await Referrers.ListAsync(Nginx, Any(1), Cancel));
    }

    [Fact]
    public async Task Concurrent_writers_do_not_disturb_each_other()
    {
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(async () =>
        {
            var bytes = Encoding.UTF8.GetBytes($"{i % 5}");
            var digest = Digest.Of(bytes);
            await Content.PutAsync(digest, bytes, Cancel);
            await References.LinkBlobAsync(Nginx, digest, Cancel);
            await References.SetTagAsync(Nginx, $"t{i % 3}", digest, Cancel);
            await References.DeleteTagAsync(Nginx, $"u{i % 3}", Cancel);
            await References.SetTagAsync(Nginx, $"u{i % 3}", digest, Cancel);
        }, Cancel)));
        Assert.Equal(5, (await ListAsync(Content.ListAsync(Cancel))).Count);
        Assert.NotNull(await References.ResolveTagAsync(Nginx, "t0", Cancel));
    }

    [Fact]
    public async Task A_tag_is_deleted_while_others_set_it()
    {
        var digest = Digest.Of("1"u8);
        var setting = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 25; i++)
                await References.SetTagAsync(Nginx, "latest", digest, Cancel);
        }, Cancel)).ToArray();
        while (!setting.All(task => task.IsCompleted))
            await References.DeleteTagAsync(Nginx, "latest", Cancel);
        await Task.WhenAll(setting);
        await References.DeleteTagAsync(Nginx, "latest", Cancel);
        Assert.Null(await References.ResolveTagAsync(Nginx, "latest", Cancel));
    }
}
