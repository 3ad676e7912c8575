using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Mirror.Tests.S3;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Stores;

/// <summary>
/// A store that takes content in one request. The server's memory does not grow with a blob that is pushed or pulled: of 5 GiB with
/// <c>MIRROR_TESTS=full</c>.
/// </summary>
public sealed class StoreMemoryTests : IDisposable
{
    private const long MaxMemory = 150 << 20;
    private const string Pushed = "local/large";

    private static readonly HubBlob Layer = HubBlob.Seeded(18, Figures.Full ? 5L << 30 : 48 << 20);

    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Over_Elliptics()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        var rift = new RiftOfOneBlob(Layer);
        await using var server = await OwnServer.StartAsync(url, rift.AnswerAsync);
        await PushAndPullAsync("Elliptics", $"  elliptics:\n    endpoints: [{url}]\n");
    }

    [Fact]
    public async Task Over_Glance()
    {
        Assert.SkipUnless(Figures.Full, "over Glance with MIRROR_TESTS=full");
        Glance.Availability.OrSkip();
        await using var glance = await Glance.StartAsync(maxImage: 6L << 30);
        await PushAndPullAsync("Glance", $"  glance:\n    endpoint: {glance.Url}\n");
    }

    /// <summary>
    /// Requests to the bucket do not make the memory grow much. After 1,000 of them the runtime compiles busy methods again. For two of
    /// AWS's library it took 16 MiB, which it kept: 25 MiB more memory instead of 9 to 12.
    /// </summary>
    [Fact]
    public async Task Many_requests_to_S3()
    {
        MirrorProcess.Availability.OrSkip();
        var store = await SharedRadosgw.OrSkipAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = BucketDriver.Of(store.Url, $"test/{Guid.NewGuid():N}")
                + $"    scratchdirectory: {_folder["scratch"]}\n  redirect:\n    disable: true\n",
        });
        using var http = new HttpClient { BaseAddress = mirror.Url };
        var blob = HubBlob.Seeded(19, 1 << 20);
        await PushAsync(http, blob);

        await PullAsync(200);
        var before = mirror.PeakResident;
        await PullAsync(2_000);
        Figures.Report($"2,000 requests to S3 took {(mirror.PeakResident - before) >> 20} MiB more memory");
        Assert.InRange(mirror.PeakResident - before, 0, 18 << 20);

        async Task PullAsync(int times)
        {
            for (var i = 0; i < times; i++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/{Pushed}/blobs/{blob.Digest}");
                request.Headers.Range = new(0, 9);
                using var answer = await http.SendAsync(request, Cancel);
                Assert.Equal(HttpStatusCode.PartialContent, answer.StatusCode);
            }
        }
    }

    private static async Task PushAsync(HttpClient http, HubBlob blob)
    {
        using var begun = await http.PostAsync(new Uri($"/v2/{Pushed}/blobs/uploads/", UriKind.Relative), null, Cancel);
        using var body = new BlobBody(blob, 0, blob.Size, isLengthKnown: true);
        body.Headers.ContentType = new("application/octet-stream");
        using var put = await http.PutAsync(new Uri($"{Http.LocationOf(begun)}?digest={blob.Digest}"), body, Cancel);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
    }

    private async Task PushAndPullAsync(string store, string driver)
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = $"{driver}    rootdirectory: {_folder["names"]}\n    scratchdirectory: {_folder["scratch"]}\n",
        });
        using var http = new HttpClient { BaseAddress = mirror.Url, Timeout = Timeout.InfiniteTimeSpan };
        await PushAsync(http, Layer);
        var pushed = mirror.PeakResident;

        await PullAsync();
        var pulled = mirror.PeakResident;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(PullAsync, Cancel)));
        Figures.Report($"{store}: {Layer.Size >> 20} MiB pushed with at most {pushed >> 20} MiB of memory, then pulled with at most "
            + $"{pulled >> 20} MiB, and by four clients at once with at most {mirror.PeakResident >> 20} MiB");
        Assert.InRange(mirror.PeakResident, 0, MaxMemory);

        async Task PullAsync()
        {
            using var answer = await http.GetAsync(
                new Uri(mirror.Url, $"/v2/{Pushed}/blobs/{Layer.Digest}"), HttpCompletionOption.ResponseHeadersRead, Cancel);
            using var hash = Digest.NewHash("sha256");
            await using var stream = await answer.Content.ReadAsStreamAsync(Cancel);
            var buffer = new byte[256 << 10];
            while (await stream.ReadAsync(buffer, Cancel) is var read and > 0)
                hash.AppendData(buffer, 0, read);
            Assert.Equal(Layer.Digest, Digest.FromHash("sha256", hash.GetCurrentHash()));
        }
    }

    /// <summary>Rift with the routes that the mirror uses, for objects with the bytes of one blob. It keeps none of them.</summary>
    private sealed class RiftOfOneBlob(HubBlob blob)
    {
        private readonly HashSet<string> _keys = [];

        public async Task AnswerAsync(HttpContext context)
        {
            context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
            var (action, key) = context.Request.Path.Value!.Trim('/').Split('/') is [var first, var second] ? (first, second) : ("", "");
            context.Response.StatusCode = action switch
            {
                "upload" => await IsBlobAsync(context.Request.Body) && _keys.Add(key) ? 200 : 500,
                "delete" => _keys.Remove(key) ? 200 : 404,
                "get" => _keys.Contains(key) ? 206 : 404,
                _ => 200,
            };
            if (context.Response.StatusCode == 206)
                await SendAsync(context);
        }

        private async Task<bool> IsBlobAsync(Stream body)
        {
            var (read, expected) = (new byte[256 << 10], new byte[256 << 10]);
            for (long at = 0; ;)
            {
                var count = await body.ReadAsync(read, Cancel);
                if (count == 0 || at + count > blob.Size)
                    return count == 0 && at == blob.Size;
                blob.Read(at, expected.AsSpan(0, count));
                if (!expected.AsSpan(0, count).SequenceEqual(read.AsSpan(0, count)))
                    return false;
                at += count;
            }
        }

        private async Task SendAsync(HttpContext context)
        {
            var range = context.Request.GetTypedHeaders().Range!.Ranges.Single();
            var (from, end) = (range.From!.Value, range.To!.Value + 1);
            context.Response.ContentLength = end - from;
            context.Response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {from}-{end - 1}/{blob.Size}");
            using var part = new BlobBody(blob, from, end, isLengthKnown: true);
            await part.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
    }
}
