using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Stores;

/// <summary>The memory of the mirror does not grow with a blob's size.</summary>
public sealed class LargeBlobTests
{
    private const string Pushed = "local/kept";
    private const long Size = 5L << 30, Limit = 150L << 20;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(StoreKind.S3)]
    [InlineData(StoreKind.Azure)]
    [InlineData(StoreKind.Gcs)]
    [InlineData(StoreKind.Swift)]
    public async Task Five_GiB_are_pushed_and_pulled_in_little_memory(StoreKind kind)
    {
        if (!Figures.Full)
            Assert.Skip("takes minutes and 10 GiB of disk: with MIRROR_TESTS=full");
        await using var store = await RemoteStore.OpenOrSkipAsync(kind);
        using var scratch = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = store.DirectDriver.Replace("chunksize: ", "#", StringComparison.Ordinal)
                + $"    scratchdirectory: {scratch.Path}\n  redirect: {{disable: true}}\n",
        });
        using var bucket = store.Open();
        var blob = HubBlob.Seeded(1, Size);
        using (var client = new HttpClient { Timeout = TimeSpan.FromHours(1) })
        {
            var location = await new PushedRepository(mirror, Pushed).BeginAsync();
            using var content = new BlobContent(blob);
            using var pushed = await client.PutAsync(
                new Uri($"{location}{(location.Contains('?') ? "&" : "?")}digest={blob.Digest}"), content, Cancel);
            Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        }
        var afterPush = mirror.PeakResident;
        using (var pulled = await mirror.GetAsync($"{Pushed}/blobs/{blob.Digest}"))
        {
            Assert.Equal(HttpStatusCode.OK, pulled.StatusCode);
            using var hash = Digest.NewHash("sha256");
            await using var body = await pulled.Content.ReadAsStreamAsync(Cancel);
            var buffer = new byte[256 * 1024];
            while (await body.ReadAsync(buffer, Cancel) is > 0 and var read)
                hash.AppendData(buffer.AsSpan(0, read));
            Assert.Equal(blob.Digest, Digest.FromHash("sha256", hash.GetCurrentHash()));
        }
        Figures.Report($"{kind}: 5 GiB pushed with {afterPush >> 20} MiB, pushed and pulled with {mirror.PeakResident >> 20} MiB at most");
        Assert.InRange(mirror.PeakResident, 0, Limit);
        await mirror.StopAsync();
        // There is no room for those of all stores.
        await foreach (var (path, _, _) in bucket.ListAsync("", null, Cancel))
            await bucket.DeleteAsync(path, Cancel);
    }

    private sealed class BlobContent(HubBlob blob) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            var buffer = new byte[256 * 1024];
            for (long offset = 0; offset < blob.Size; offset += buffer.Length)
            {
                var part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, blob.Size - offset));
                blob.Read(offset, part.Span);
                await stream.WriteAsync(part);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = blob.Size;
            return true;
        }
    }
}
