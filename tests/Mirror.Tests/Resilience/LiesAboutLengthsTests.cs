using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Resilience;

/// <summary>A manifest that a client pushed may tell a wrong length of any content. That changes nothing for other repositories.</summary>
public sealed class LiesAboutLengthsTests
{
    private static readonly byte[] Blob = UploadTests.Bytes(100_000);
    private static readonly Digest BlobDigest = Digest.Of(Blob);

    [Fact]
    public async Task A_pushed_manifest_does_not_cut_off_the_blob_of_a_mirrored_repository()
    {
        MirrorProcess.Availability.OrSkip();
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        // It sends chunks, and tells no length to HEAD either.
        await using var upstream = await OwnServer.StartAsync(url, async http =>
        {
            if (HttpMethods.IsGet(http.Request.Method) && http.Request.Path.Value!.Contains("/blobs/", StringComparison.Ordinal))
                await http.Response.Body.WriteAsync(Blob, http.RequestAborted);
        });
        await using var mirror = await MirrorProcess.StartAsync(url);
        await PushLieAsync(new PushedRepository(mirror, "local/liar"));
        Assert.Equal(Blob, await new PushedRepository(mirror, "acme/app").BytesAsync($"blobs/{BlobDigest}"));
    }

    [Fact]
    public async Task A_pushed_manifest_hides_no_blob_of_its_own_repository()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "local/liar");
        await repository.PushAsync(Blob);
        await PushLieAsync(repository);
        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        using (var manifest = await repository.SendAsync("GET", "manifests/1"))
            Assert.True(manifest.IsSuccessStatusCode);
        Assert.Equal(Blob, await repository.BytesAsync($"blobs/{BlobDigest}"));
    }

    [Fact]
    public void A_claim_counts_in_its_repository_until_a_length_is_proved()
    {
        using var sizes = new ExpectedSizes();
        var (liar, honest) = (RepositoryName.Parse("local/liar"), RepositoryName.Parse("acme/app"));
        sizes.Learn(liar, ManifestDocument.Read(Lie(Digest.Of("{}"u8)))!);
        Assert.Equal((1, null, null), (sizes[liar, BlobDigest], sizes[honest, BlobDigest], sizes[BlobDigest]));

        sizes.Prove(BlobDigest, Blob.Length);
        sizes.Learn(liar, ManifestDocument.Read(Lie(Digest.Of("{}"u8)))!);
        Assert.Equal((Blob.Length, Blob.Length, Blob.Length), (sizes[liar, BlobDigest], sizes[honest, BlobDigest], sizes[BlobDigest]));
    }

    [Fact]
    public async Task A_push_replaces_a_blob_in_a_bucket_that_is_known_to_be_damaged()
    {
        var cancel = TestContext.Current.CancellationToken;
        using var folder = new TempFolder();
        using var sizes = new ExpectedSizes();
        using var bucket = new MemoryBucket(new() { MaxSize = 1 << 20 }, TimeProvider.System);
        using var store = new CheckedContentStore(
            new BucketContentStore(bucket, new MemoryOptions { ScratchDirectory = folder.Path }, TimeProvider.System), sizes,
            NullLogger<CheckedContentStore>.Instance);
        var path = RegistryLayout.BlobData(BlobDigest);
        await bucket.PutBytesAsync(path, new byte[Blob.Length], onlyIfAbsent: false, cancel);
        var liar = RepositoryName.Parse("local/liar");
        sizes.Learn(liar, ManifestDocument.Read(Lie(Digest.Of("{}"u8)))!);
        Assert.Null(await store.ReadableSizeAsync(liar, BlobDigest, cancel));

        await using (var spool = await store.SpoolAsync(BlobDigest, cancel))
        {
            spool.Append(Blob);
            Assert.True(await spool.VerifyAsync(BlobDigest, cancel));
            spool.Complete();
            await store.CommitAsync(spool, BlobDigest, cancel);
        }
        Assert.Equal(Blob.Length, await store.ReadableSizeAsync(liar, BlobDigest, cancel));
        Assert.Equal(Verification.Intact, await store.VerifyAsync(BlobDigest, cancel));
    }

    private static async Task PushLieAsync(PushedRepository repository)
    {
        var manifest = Lie(await repository.PushAsync("{}"u8.ToArray()));
        using var put = await repository.SendAsync("PUT", "manifests/1", manifest, OciManifest);
        Assert.True(put.IsSuccessStatusCode);
    }

    // A layer with urls need not be in the repository.
    private static byte[] Lie(Digest config)
    {
        var text = System.Text.Encoding.UTF8.GetString(Manifest(config));
        return System.Text.Encoding.UTF8.GetBytes(text.Replace(
            "\"layers\":[]",
            $$"""
            "layers":[{"mediaType":"a/b","digest":"{{BlobDigest}}","size":1,"urls":["https://registry.example/x"]}]
            """,
            StringComparison.Ordinal));
    }
}
