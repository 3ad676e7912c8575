using System.Net;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// A download that an earlier process began, from an upstream that ignores Range and cuts the connection before the first byte that is
/// missing.
/// </summary>
public sealed class SkippedBytesTests : MirrorOfHub
{
    private const int Size = 8 << 20;

    public static bool IsFull => Figures.Full;

    [Fact]
    public async Task A_connection_that_is_cut_before_the_first_missing_byte_is_no_failure_of_the_store()
    {
        var (blob, _) = await BeginAsync();
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(Size / 8).FromTheStart(), times: 2);
        using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(blob.Digest, await DigestOfAsync(response));
        await Mirror.UntilStoredAsync(BlobPath(blob.Digest));
        Assert.DoesNotContain(Mirror.Log, IsOfTheStore);
    }

    [Fact(SkipUnless = nameof(IsFull), Skip = "takes 16 s: MIRROR_TESTS=full")]
    public async Task The_bytes_of_the_earlier_process_stay_when_upstream_cuts_each_connection_before_them()
    {
        var (blob, had) = await BeginAsync();
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(Size / 8).FromTheStart(), times: 7);
        using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
            await Assert.ThrowsAnyAsync<Exception>(() => DigestOfAsync(response));
        await Mirror.UntilLoggedAsync(line => line.Contains($"download of {blob.Digest}") && line.Contains("failed after"));
        Assert.DoesNotContain(Mirror.Log, IsOfTheStore);
        Assert.Equal(had, new FileInfo(SpoolOf(blob)).Length);

        Hub.Log.Clear();
        using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(Size - had, Hub.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task After_a_web_page_for_the_rest_the_next_process_gets_the_blob()
    {
        var (blob, had) = await BeginAsync();
        using (Hub.Script(Asked.BlobBytes, Answer.Html()))
        using (var page = await Mirror.GetAsync(BlobPath(blob.Digest)))
            Assert.Equal(HttpStatusCode.ServiceUnavailable, page.StatusCode);
        Assert.Equal(had, new FileInfo(SpoolOf(blob)).Length);

        await Mirror.StopAsync();
        await Mirror.StartAgainAsync();
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
    }

    // Such as a server that finds no type for the file, and sends whole files only.
    [Fact]
    public async Task A_blob_that_upstream_always_labels_as_a_web_page_comes_after_the_bytes_of_an_earlier_process()
    {
        var (blob, _) = await BeginAsync();
        var bytes = new byte[Size];
        blob.Read(0, bytes);
        Hub.Script(request => request.Asked is Asked.Blob or Asked.BlobBytes, Answer.By(async context =>
        {
            (context.Response.ContentType, context.Response.ContentLength) = ("text/html", Size);
            if (context.Request.Method == "GET")
                await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
        }));
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
    }

    // Half of the blob comes, and the process is killed.
    private async Task<(HubBlob Blob, long Had)> BeginAsync()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(Size / 2, gate));
        using (var response = await Mirror.GetAsync(BlobPath(blob.Digest)))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await gate.Reached;
            await Until.TrueAsync(() => new FileInfo(SpoolOf(blob)).Length >= Size / 4, () => "The download does not progress.");
            await Mirror.KillAsync();
        }
        await Mirror.StartAgainAsync();
        return (blob, new FileInfo(SpoolOf(blob)).Length);
    }

    private string SpoolOf(HubBlob blob) => Path.Combine(Mirror.Root, RegistryLayout.Fill(blob.Digest));

    private static bool IsOfTheStore(string line) => line.Contains("cannot store", StringComparison.Ordinal);
}
