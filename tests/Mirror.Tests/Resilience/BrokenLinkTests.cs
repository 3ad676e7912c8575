using System.Globalization;
using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Upstream bodies that are cut, stall or are wrong: a client gets the correct bytes or a broken download, never wrong bytes that end
/// cleanly.
/// </summary>
public sealed class BrokenLinkTests : MirrorOfHub
{
    private const int Size = 4 << 20;

    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, More = "  idle_timeout: 2s\n" };

    [Fact]
    public async Task A_body_cut_anywhere_is_resumed_with_few_bytes_fetched_twice()
    {
        var cuts = Figures.Count(20, 500);
        // The test pulls more often than Docker Hub's limit allows.
        Hub.PullLimit = null;
        var random = Figures.Random(1);
        var (whole, wrong, clean, sent) = (0, 0, 0, 0L);
        for (var i = 0; i < cuts;)
        {
            var layers = Enumerable.Range(i, Math.Min(4, cuts - i)).Select(seed => HubBlob.Seeded(seed, Size)).ToArray();
            var image = Hub.AddImage(Repository, $"v{i}", layers);
            foreach (var layer in layers)
                Hub.Fault(layer.Digest, Cut(i++ % 4, random.NextInt64(Size)));
            // Get the manifest first, as clients do.
            using (await Mirror.GetAsync(ManifestPath($"v{i - layers.Length}")))
                foreach (var (ended, right) in await Task.WhenAll(layers.Select(PullAsync)))
                {
                    whole += ended && right ? 1 : 0;
                    clean += ended && !right ? 1 : 0;
                    wrong += right ? 0 : 1;
                }
            sent += layers.Sum(layer => Hub.Log.BodyBytes(layer.Digest));
            Assert.All(image.Layers, layer => Assert.Equal(0, Hub.Log.BodyBytes(image.Config.Digest)));
        }
        var again = (sent - (long)cuts * Size) / ((double)cuts * Size);
        Figures.Report(string.Create(
            CultureInfo.InvariantCulture,
            $"{cuts} cuts: {whole} completed, {wrong} with wrong bytes, {clean} clean ends to wrong bytes, {again:P2} fetched again"));
        Assert.Equal(0, wrong);
        Assert.Equal(0, clean);
        Assert.InRange(whole, cuts * 0.99, cuts);
        // A reset takes with it what the system has received and the server has not read yet: on a busy machine that is much of a few cuts.
        Assert.InRange(again, 0, Figures.Full ? 0.02 : 0.1);
    }

    // An upstream that is itself a cache sends the headers at once, and fetches the blob then.
    [Fact]
    public async Task The_first_byte_of_a_body_may_take_longer_than_those_that_follow()
    {
        var (slow, stalled) = (Hub.AddBlob(Repository, HubBlob.Seeded(90, 1000)), Hub.AddBlob(Repository, HubBlob.Seeded(91, Size)));
        var (first, middle) = (new Gate(), new Gate());
        Hub.Fault(slow.Digest, BlobFault.StalledAt(0, first));
        Hub.Fault(stalled.Digest, BlobFault.StalledAt(Size / 2, middle));
        var pull = PullAsync(slow);
        await first.Reached;
        var other = PullAsync(stalled);
        // This body stalls later, and proxy.idle_timeout is over for it already.
        await Hub.Log.WhenAskedAsync(request => IsOf(request, stalled) && request.Range is not null);
        middle.Open();
        first.Open();
        Assert.Equal((true, true), await pull);
        Assert.Equal((true, true), await other);
        Assert.Equal(1, Hub.Log.Requests.Count(request => IsOf(request, slow)));

        static bool IsOf(HubRequest request, HubBlob blob) =>
            request.Asked == Asked.BlobBytes && request.Path.Contains(blob.Digest.Hex, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_byte_anywhere_is_not_stored_and_the_body_never_ends()
    {
        var random = Figures.Random(2);
        var count = Figures.Count(20, 200);
        for (var i = 0; i < count; i++)
        {
            var blob = Hub.AddBlob(Repository, HubBlob.Seeded(i, 1 + random.Next(1 << 20)));
            Hub.Fault(blob.Digest, BlobFault.WrongByteAt(random.NextInt64(blob.Size)));
            var (ended, _) = await PullAsync(blob);
            Assert.False(ended);
            Assert.False(IsStored(blob.Digest));
        }
        Figures.Report($"{count} wrong bytes: 0 stored, 0 clean ends");
    }

    [Fact]
    public async Task A_short_body_is_completed_if_the_manifest_tells_its_length()
    {
        var layer = HubBlob.Seeded(1, Size);
        Hub.AddImage(Repository, "latest", layer);
        Hub.Fault(layer.Digest, BlobFault.ShortAt(Size / 2));
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal((true, true), await PullAsync(layer));
        Assert.Equal(Size, Hub.Log.BodyBytes(layer.Digest));
    }

    [Fact]
    public async Task A_manifest_with_a_wrong_length_does_not_spoil_the_blob()
    {
        var layer = HubBlob.Seeded(1, Size);
        Hub.AddImage(Repository, "latest", layer);
        Hub.AddManifest("library/liar", "latest", "application/vnd.oci.image.manifest.v1+json", System.Text.Encoding.UTF8.GetBytes(
            $$$"""{"schemaVersion":2,"config":{"mediaType":"x","digest":"{{{layer.Digest}}}","size":17},"layers":[]}"""));
        using (await Mirror.GetAsync(ManifestPath("latest", "library/liar")))
            Assert.Equal((true, true), await PullAsync(layer));
        await Mirror.UntilStoredAsync(BlobPath(layer.Digest));
        Assert.Equal((true, true), await PullAsync(layer));
        Assert.Equal(Size, Hub.Log.BodyBytes(layer.Digest));
    }

    [Fact]
    public async Task Attempts_without_bytes_end_and_the_next_client_resumes()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(Size / 2), times: 100);
        Assert.False((await PullAsync(blob)).Ended);
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 2, 40);
        while (Hub.NextFault(blob.Digest) is not null)
        {
        }
        // First wait until the circuit breaker lets requests through again.
        await Until.TrueAsync(async () => await PullAsync(blob) == (true, true), () => "The blob can no longer be pulled.");
        Assert.InRange(Hub.Log.BodyBytes(blob.Digest), Size, Size + Size / 50);
    }

    [Fact]
    public async Task Attempts_that_bring_a_byte_each_end()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        for (var offset = 1; offset <= 1000; offset++)
            Hub.Fault(blob.Digest, BlobFault.ClosedAt(offset));
        Assert.False((await PullAsync(blob)).Ended);
        Assert.InRange(Hub.Log.Count(Asked.BlobBytes), 2, 40);
    }

    [Fact]
    public async Task An_HTML_page_in_place_of_the_rest_ends_the_download_and_the_log_says_so()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(Size / 2));
        var asked = 0;
        using (Hub.Script(
            request => request.Asked == Asked.BlobBytes && (request.Range is not null || Volatile.Read(ref asked) > 0),
            Answer.By(context =>
            {
                Interlocked.Increment(ref asked);
                context.Response.ContentType = "text/html";
                return context.Response.Body.WriteAsync("<html>sorry</html>"u8.ToArray()).AsTask();
            })))
            Assert.False((await PullAsync(blob)).Ended);
        await Mirror.UntilLoggedAsync(
            line => line.Contains($"sent an HTML page instead of the bytes of {blob.Digest}", StringComparison.Ordinal));
        Assert.Equal((true, true), await PullAsync(blob));
    }

    [Fact]
    public async Task A_cut_page_leaves_no_bytes_that_the_next_pull_would_continue()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        using (Hub.Script(Asked.BlobBytes, Answer.By(async context =>
        {
            (context.Response.ContentType, context.Response.ContentLength) = ("text/html", Size);
            if (context.Request.Headers.Range.Count == 0)
                await context.Response.Body.WriteAsync(new byte[Size / 2]);
            context.Abort();
        })))
            Assert.False((await PullAsync(blob)).Ended);
        Assert.Equal((true, true), await PullAsync(blob));
    }

    [Theory]
    [InlineData(200, "text/html", 20, false)]
    [InlineData(200, "application/octet-stream", 1000, false)]
    [InlineData(200, "application/octet-stream", 1000, true)]
    [InlineData(200, "application/octet-stream", 0, false)]
    [InlineData(204, null, 0, false)]
    public async Task After_an_answer_that_is_not_the_rest_the_whole_blob_is_requested(int status, string? type, int length, bool saysRange)
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        Hub.Fault(blob.Digest, BlobFault.ClosedAt(Size / 2));
        Hub.Script(request => request is { Asked: Asked.BlobBytes, Range: not null }, Answer.By(async context =>
        {
            (context.Response.StatusCode, context.Response.ContentType) = (status, type);
            if (status == 204)
                return;
            if (saysRange)
                context.Response.Headers.ContentRange = $"bytes {Size - length}-{Size - 1}/{Size}";
            context.Response.ContentLength = length;
            await context.Response.Body.WriteAsync(new byte[length]);
        }));
        Assert.Equal((true, true), await PullAsync(blob));
    }

    [Fact]
    public async Task An_endless_body_is_cut_at_the_length_in_the_manifest()
    {
        var layer = HubBlob.Seeded(1, 100_000);
        Hub.AddImage(Repository, "latest", layer);
        Hub.Script(r => r.Asked == Asked.Blob && r.Method == "HEAD", Answer.By(_ => Task.CompletedTask));
        Hub.Script(Asked.BlobBytes, Answer.By(async context =>
        {
            while (true)
                await context.Response.Body.WriteAsync(new byte[65536], context.RequestAborted);
        }));
        using (await Mirror.GetAsync(ManifestPath("latest")))
        using (var response = await Mirror.GetAsync(BlobPath(layer.Digest)))
            if (response.StatusCode == HttpStatusCode.OK)
                await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.False(IsStored(layer.Digest));
        var fills = Path.Combine(Mirror.Root, "mirror/fills/sha256");
        Assert.Empty(Directory.Exists(fills) ? Directory.GetFiles(fills) : []);
    }

    [Fact]
    public async Task Header_and_body_agree_while_the_tag_keeps_moving()
    {
        HubImage[] images = [.. new[] { 1, 2 }.Select(seed => Hub.AddImage(Repository, "latest", HubBlob.Seeded(seed, 10)))];
        var asked = 0;
        Hub.Script(
            Asked.Manifest, Answer.After(() => Hub.MoveTag(Repository, "latest", images[Interlocked.Increment(ref asked) % 2].Digest)));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, TagsCacheTtl = "0" });
        var count = Figures.Count(100, 1000);
        for (var i = 0; i < count; i++)
        {
            // Delete the manifests, so that the mirror sends a GET and the tag can move before it.
            if (i % 2 == 0)
                foreach (var image in images)
                    using (await mirror.SendAsync(HttpMethod.Delete, ManifestPath(image.Digest)))
                    {
                    }
            using var response = await mirror.GetAsync(ManifestPath("latest"));
            var body = await response.Content.ReadAsByteArrayAsync(Cancel);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(response.Headers.GetValues("Docker-Content-Digest").Single(), Digest.Of(body).ToString());
        }
        Figures.Report($"{count} moves of a tag: 0 mismatches, {asked} questions upstream");
    }

    private static BlobFault Cut(int kind, long offset) => kind switch
    {
        0 => BlobFault.ShortAt(offset),
        1 => BlobFault.ClosedAt(offset),
        2 => BlobFault.ResetAt(offset),
        _ => BlobFault.StalledAt(offset, new Gate()),
    };

    private async Task<(bool Ended, bool Right)> PullAsync(HubBlob blob)
    {
        long offset = 0;
        var right = true;
        var (buffer, expected) = (new byte[64 * 1024], new byte[64 * 1024]);
        try
        {
            // A reset can discard bytes that were sent before it, even the headers.
            using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
            if (response.StatusCode != HttpStatusCode.OK)
                return (false, true);
            await using var body = await response.Content.ReadAsStreamAsync(Cancel);
            while (await body.ReadAsync(buffer, Cancel) is > 0 and var read)
            {
                if (offset + read > blob.Size)
                    return (false, false);
                blob.Read(offset, expected.AsSpan(0, read));
                right &= buffer.AsSpan(0, read).SequenceEqual(expected.AsSpan(0, read));
                offset += read;
            }
        }
        catch (Exception cut) when (cut is IOException or HttpRequestException)
        {
            return (false, right);
        }
        return (true, right && offset == blob.Size);
    }
}
