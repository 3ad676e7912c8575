using System.Text;
using Mirror.Storage.Tests.Buckets;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

// Linked manifests with the right bytes that do not show what they name. Clients cannot push them here, but a folder may come from another
// program, and a client may read them.
public abstract partial class SweeperTests
{
    /// <summary>Each changes a manifest, in which the digest of its layer is DIGEST.</summary>
    public static TheoryData<string, string> Unreadable => new()
    {
        { "{", "\ufeff{" },
        { "}]}", "}],}" },
        { "{\"layers", "/*x*/{\"layers" },
        { "{\"layers", "{\"x\":\"a\tb\",\"layers" },
        { "{\"layers", "{\"x\":NaN,\"layers" },
        { "{\"layers", "{} {\"layers" },
        { "{\"layers\":[{\"digest\":\"DIGEST\"}]}", "[{\"layers\":[{\"digest\":\"DIGEST\"}]}]" },
        { "DIGEST", "UPPER" },
        { "DIGEST", "SHA256:HEX" },
        { "DIGEST", " DIGEST " },
        { "DIGEST", "HEX" },
        { "{\"digest\":\"DIGEST\"}", "\"DIGEST\"" },
        { "[{\"digest\":\"DIGEST\"}]", "[[{\"digest\":\"DIGEST\"}]]" },
        { "[{\"digest\":\"DIGEST\"}]", "\"DIGEST\"" },
        { "\"DIGEST\"", "[\"DIGEST\"]" },
    };

    [Theory]
    [MemberData(nameof(Unreadable))]
    public async Task A_manifest_that_cannot_be_read_keeps_every_blob_of_its_repository_and_is_named(string part, string changed)
    {
        // How a manifest is read does not depend on the store.
        if (_store is BucketSweptStore)
            LongTests.OrSkip();
        var (layer, others) = (await _store.BlobAsync(App, "layer"), await _store.BlobAsync(Other, "others"));
        var json = "{\"layers\":[{\"digest\":\"DIGEST\"}]}".Replace(part, changed, StringComparison.Ordinal)
            .Replace("DIGEST", layer.ToString(), StringComparison.Ordinal)
            .Replace("UPPER", $"sha256:{layer.Hex.ToUpperInvariant()}", StringComparison.Ordinal)
            .Replace("HEX", layer.Hex, StringComparison.Ordinal);

        await AssertKeepsLayerAsync(await _store.ManifestAsync(App, null, json), layer, others);
    }

    [Fact]
    public async Task A_manifest_in_another_encoding_keeps_every_blob_of_its_repository_and_is_named()
    {
        var (layer, others) = (await _store.BlobAsync(App, "layer"), await _store.BlobAsync(Other, "others"));
        await AssertKeepsLayerAsync(
            await _store.ManifestAsync(App, "1", Encoding.Unicode.GetBytes(SweptStore.Image(layer, []))), layer, others);
    }

    [Fact]
    public async Task A_tagged_index_that_cannot_be_read_keeps_the_untagged_manifests_of_its_repository()
    {
        var child = await _store.ImageAsync(App, null, await _store.BlobAsync(App, "config"));
        var index = await _store.ManifestAsync(App, "1", "\ufeff" + SweptStore.Index(child));
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync(new() { DeleteUntagged = true });

        Assert.Contains(index.ToString(), Assert.Single(result.Problems), StringComparison.Ordinal);
        Assert.True((await _store.References.FindManifestAsync(App, child, Stop)).Linked);
    }

    // BuildKit's index of a build cache lists layers as manifests. Go's encoders write an empty digest for a config that is not set.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Content_that_is_lawfully_no_manifest_keeps_nothing_else(bool deleteUntagged)
    {
        var (layer, loose) = (await _store.BlobAsync(App, "layer"), await _store.BlobAsync(App, "loose"));
        var cache = await _store.BlobAsync(App, """{"layers":[{"blob":"sha256:1234","parent":-1},"text"]}""");
        await _store.ManifestAsync(App, "cache", SweptStore.Index(layer, cache));
        await _store.ManifestAsync(App, "artifact", """
            {"config":{"mediaType":"","digest":"","size":0},"layers":[{"digest":"blake3:1234","size":1},null,{}],
             "subject":"text","x-own":["text"]}
            """);
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync(new() { DeleteUntagged = deleteUntagged });

        Assert.Empty(result.Problems);
        Assert.True(await _store.HasAsync(layer));
        Assert.True(await _store.HasAsync(cache));
        Assert.False(await _store.HasAsync(loose));
    }

    private async Task AssertKeepsLayerAsync(Digest manifest, Digest layer, Digest others)
    {
        // In another repository the same manifest is the child of an index. It counts for each repository that links it.
        await _store.ManifestAsync(RepositoryName.Parse("local/a"), "1", SweptStore.Index(manifest));
        await _store.AgeAsync(TimeSpan.FromHours(2));

        var result = await _store.SweepAsync();

        Assert.Contains($"{App}: the manifest {manifest}", Assert.Single(result.Problems), StringComparison.Ordinal);
        Assert.True(await _store.HasAsync(layer));
        Assert.True(await _store.References.HasBlobAsync(App, layer, Stop));
        Assert.False(await _store.HasAsync(others));
    }
}
