using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A blob that the mirror has not stored: the requests to upstream, and what clients get.</summary>
public sealed class ColdBlobTests : MirrorOfHub
{
    private const int MiB = 1024 * 1024;

    private static readonly HubBlob Blob = HubBlob.Seeded(7, 8 * MiB);

    [Fact]
    public async Task Twenty_clients_at_once_cost_upstream_one_download()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, 64 * MiB));
        Hub.Link.BytesPerSecond = 50 * MiB;
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(MiB, gate));
        // All clients have their headers before upstream has sent more than the first of 64 MiB.
        var responses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Mirror.GetAsync(BlobPath(blob.Digest))));
        gate.Open();
        var digests = await Task.WhenAll(responses.Select(DigestOfAsync));

        Assert.All(digests, d => Assert.Equal(blob.Digest, d));
        Assert.Equal(blob.Size, Hub.Log.BodyBytes(blob.Digest));
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
        Assert.Equal(1, Hub.Log.TokensIssued[$"repository:{Repository}:pull"]);
        Assert.Equal(1, responses.Count(r => CacheAnswer.Of(r) == CacheAnswer.Miss));
        Assert.Equal(19, responses.Count(r => CacheAnswer.Of(r) == CacheAnswer.Joined));
    }

    [Fact]
    public async Task Fifty_clients_of_one_large_blob_stay_within_200_MiB_of_memory()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(2, 256 * MiB));
        var lengths = await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
        {
            using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
            // Only count the bytes: hashing fifty copies would take minutes.
            await using var body = await response.Content.ReadAsStreamAsync(Cancel);
            var counter = new CountingSink();
            await body.CopyToAsync(counter, 256 * 1024, Cancel);
            return counter.Position;
        }));
        Assert.All(lengths, length => Assert.Equal(blob.Size, length));
        Assert.Equal(blob.Size, Hub.Log.BodyBytes(blob.Digest));
        Assert.InRange(Mirror.PeakResident, 0, 200L * MiB);
    }

    [Fact]
    public async Task HEAD_during_a_download_and_right_after_it_is_answered_from_the_download()
    {
        Hub.AddBlob(Repository, Blob);
        var gate = new Gate();
        Hub.Fault(Blob.Digest, BlobFault.StalledAt(MiB, gate));
        using var whole = await Mirror.GetAsync(BlobPath(Blob.Digest));
        await gate.Reached;
        foreach (var status in new[] { CacheAnswer.Joined, null })
        {
            using (var head = await Mirror.HeadAsync(BlobPath(Blob.Digest)))
            {
                Assert.Equal((HttpStatusCode.OK, (long?)Blob.Size), (head.StatusCode, head.Content.Headers.ContentLength));
                Assert.Equal(status ?? CacheAnswer.Of(head), CacheAnswer.Of(head));
            }
            gate.Open();
            Assert.Equal(status is null ? "" : Blob.Digest.ToString(), status is null ? "" : $"{await DigestOfAsync(whole)}");
        }
        Assert.Equal(0, Hub.Log.Count(Asked.Blob, "HEAD"));
    }

    [Fact]
    public async Task HEAD_downloads_nothing()
    {
        Hub.AddBlob(Repository, Blob);
        using var response = await Mirror.HeadAsync(BlobPath(Blob.Digest));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Blob.Size, response.Content.Headers.ContentLength);
        Assert.Equal(Blob.Digest.ToString(), response.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal(0, Hub.Log.BodyBytes());
        Assert.Equal(0, Hub.Log.Count(Asked.Blob, "GET"));
    }

    [Fact]
    public async Task A_range_gets_206_and_exactly_its_bytes()
    {
        Hub.AddBlob(Repository, Blob);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", "bytes=1000-1999"));
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal($"bytes 1000-1999/{Blob.Size}", response.Content.Headers.ContentRange?.ToString());
        Assert.Equal(Blob.Slice(1000, 2000), await response.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task A_range_far_ahead_does_not_wait_for_the_fill()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(3, 64 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(MiB, gate));
        using var whole = await Mirror.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        using var range = await Mirror.GetAsync(BlobPath(blob.Digest), ("Range", $"bytes={60 * MiB}-{60 * MiB + 99}"));
        Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
        Assert.Equal(blob.Slice(60 * MiB, 60 * MiB + 100), await range.Content.ReadAsByteArrayAsync(Cancel));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
    }

    [Fact]
    public async Task A_client_that_pauses_for_a_while_gets_the_rest()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(5, 48 * MiB));
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        var read = new byte[blob.Size];
        await body.ReadExactlyAsync(read.AsMemory(0, MiB), Cancel);
        // Longer than the default minimum rate of Kestrel allows.
        await Task.Delay(TimeSpan.FromSeconds(8), Cancel);
        await body.ReadExactlyAsync(read.AsMemory(MiB), Cancel);
        Assert.Equal(blob.Digest, Storage.Digest.Of(read));
    }

    [Fact]
    public async Task Clients_that_resume_a_blob_share_one_download()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(4, 48 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(MiB, gate));
        using var first = await Mirror.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        var rest = blob.Slice(24 * MiB, blob.Size);
        await Task.WhenAll(Enumerable.Range(0, 10).Select(async _ =>
        {
            using var response = await Mirror.GetAsync(BlobPath(blob.Digest), ("Range", $"bytes={24 * MiB}-"));
            Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
            gate.Open();
            Assert.Equal(rest, await response.Content.ReadAsByteArrayAsync(Cancel));
        }));
        Assert.InRange(Hub.Log.BodyBytes(blob.Digest), blob.Size, blob.Size * 11 / 10);
    }

    [Fact]
    public async Task A_range_beyond_the_end_is_416()
    {
        Hub.AddBlob(Repository, Blob);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", $"bytes={Blob.Size}-"));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, response.StatusCode);
    }

    [Fact]
    public async Task The_fill_completes_when_its_only_client_disconnects()
    {
        Hub.AddBlob(Repository, Blob);
        var gate = new Gate();
        Hub.Fault(Blob.Digest, BlobFault.StalledAt(2 * MiB, gate));
        using (var response = await Mirror.GetAsync(BlobPath(Blob.Digest)))
        {
            await using var body = await response.Content.ReadAsStreamAsync(Cancel);
            await body.ReadExactlyAsync(new byte[MiB / 2], Cancel);
        }
        // The mirror knows that the only client has left before upstream goes on.
        await Until.TrueAsync(
            async () => await Mirror.MetricAsync("registry_http_in_flight_requests", ("handler", "blob")) == 0,
            () => "The client is still counted.");
        gate.Open();
        await Mirror.UntilStoredAsync(BlobPath(Blob.Digest));

        using var next = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(next));
        Assert.Equal(Blob.Digest, await DigestOfAsync(next));
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
        Assert.Equal(Blob.Size, Hub.Log.BodyBytes(Blob.Digest));
    }

    [Fact]
    public async Task A_layer_stored_for_another_repository_costs_one_HEAD_and_no_bytes()
    {
        Hub.AddBlob(Repository, Blob);
        Hub.AddBlob("library/redis", Blob);
        await FillAsync();
        Hub.Log.Clear();

        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest, "library/redis"));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
        Assert.Equal(0, Hub.Log.BodyBytes());
        Assert.Equal(0, Hub.Log.Count(Asked.Blob, "GET"));
        Assert.Equal(1, Hub.Log.Count(Asked.Blob, "HEAD"));
    }

    [Fact]
    public async Task A_layer_is_not_served_in_a_repository_that_lacks_it_upstream()
    {
        Hub.AddBlob(Repository, Blob);
        Hub.AddImage("library/redis", "latest");
        await FillAsync();
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest, "library/redis"));
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3 * MiB)]
    [InlineData(8 * MiB - 1)]
    public async Task One_wrong_byte_aborts_the_connection_and_nothing_is_stored(long offset)
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Fault(Blob.Digest, BlobFault.WrongByteAt(offset));
        using (var wrong = await Mirror.GetAsync(BlobPath(Blob.Digest)))
            await Assert.ThrowsAnyAsync<HttpRequestException>(() => wrong.Content.ReadAsByteArrayAsync(Cancel));
        Assert.False(IsStored(Blob.Digest));

        using var right = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(HttpStatusCode.OK, right.StatusCode);
        Assert.Equal(Blob.Digest, await DigestOfAsync(right));
    }

    [Theory]
    [InlineData("bytes=0-99")]
    [InlineData("bytes=1000-4000")]
    [InlineData("bytes=0-0,20000-20099")]
    public async Task No_part_of_a_small_blob_goes_out_before_the_whole_is_verified(string range)
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(3, 30_000));
        Hub.Fault(blob.Digest, BlobFault.WrongByteAt(29_000));
        using (var wrong = await Mirror.GetAsync(BlobPath(blob.Digest), ("Range", range)))
        {
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, wrong);
            Assert.Null(wrong.Content.Headers.ContentRange);
        }
        using var right = await Mirror.GetAsync(BlobPath(blob.Digest), ("Range", range));
        Assert.Equal(HttpStatusCode.PartialContent, right.StatusCode);
    }

    [Fact]
    public async Task A_body_that_ends_too_early_is_never_taken_for_the_blob()
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Fault(Blob.Digest, BlobFault.ShortAt(3 * MiB));
        using (var wrong = await Mirror.GetAsync(BlobPath(Blob.Digest)))
            await Assert.ThrowsAnyAsync<HttpRequestException>(() => wrong.Content.ReadAsByteArrayAsync(Cancel));
        Assert.False(IsStored(Blob.Digest));

        using var right = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(right));
    }

    [Theory]
    [InlineData("closed")]
    [InlineData("reset")]
    public async Task A_cut_upstream_body_is_resumed_and_clients_notice_nothing(string how)
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Fault(Blob.Digest, how == "reset" ? BlobFault.ResetAt(3 * MiB) : BlobFault.ClosedAt(3 * MiB));
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
        var requests = Hub.Log.Requests.Where(r => r.Asked == Asked.BlobBytes).ToList();
        Assert.Equal(2, requests.Count);
        Assert.StartsWith("bytes=", requests[1].Range, StringComparison.Ordinal);
        // A new signature: the first one may have expired by then.
        Assert.NotEqual(requests[0].Query, requests[1].Query);
    }

    [Fact]
    public async Task A_download_is_resumed_although_the_cdn_ignores_ranges()
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Fault(Blob.Digest, BlobFault.ClosedAt(3 * MiB));
        Hub.Fault(Blob.Digest, BlobFault.RangeIgnored);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
    }

    [Theory]
    [InlineData(400)]
    [InlineData(405)]
    [InlineData(416)]
    [InlineData(501)]
    [InlineData(206)] // Another range.
    public async Task A_download_continues_although_upstream_cannot_send_the_rest_of_a_blob(int status)
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Fault(Blob.Digest, BlobFault.ClosedAt(3 * MiB));
        if (status == 206)
            Hub.Fault(Blob.Digest, BlobFault.RangeShifted);
        else
            Hub.Fault(Blob.Digest, BlobFault.RangeRefused(status), times: 100);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
        // 400 may have another reason, so a second one decides.
        Assert.Equal(status == 400 ? 4 : 3, Hub.Log.Requests.Count(r => r.Asked == Asked.BlobBytes));
    }

    [Fact]
    public async Task A_download_continues_after_its_last_byte_although_the_first_attempt_is_400()
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Fault(Blob.Digest, BlobFault.ClosedAt(3 * MiB));
        Hub.Fault(Blob.Digest, BlobFault.RangeRefused(400));
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
        var later = Hub.Log.Requests.Where(r => r.Asked == Asked.BlobBytes).Skip(1);
        Assert.All(later, request => Assert.StartsWith("bytes=", request.Range, StringComparison.Ordinal));
    }

    [Fact]
    public async Task HEAD_tells_the_length_although_upstream_answers_neither_HEAD_nor_Range()
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Script(r => r.Asked == Asked.Blob && r.Method == "HEAD", Answer.Status(405));
        Hub.Fault(Blob.Digest, BlobFault.RangeRefused(400), times: 100);
        using var response = await Mirror.HeadAsync(BlobPath(Blob.Digest));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Blob.Size, response.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task An_expired_signature_is_replaced()
    {
        Hub.AddBlob(Repository, Blob);
        Hub.Fault(Blob.Digest, BlobFault.ClosedAt(3 * MiB));
        Hub.Fault(Blob.Digest, BlobFault.SignatureExpired);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
    }

    [Fact]
    public async Task Headers_arrive_before_the_first_byte()
    {
        Hub.AddBlob(Repository, Blob);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Accept-Encoding", "zstd, gzip, deflate"));
        Assert.Equal(Blob.Digest.ToString(), response.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal("registry/2.0", response.Headers.GetValues("Docker-Distribution-Api-Version").Single());
        Assert.Equal($"\"{Blob.Digest}\"", response.Headers.ETag?.ToString());
        Assert.Equal(Blob.Size, response.Content.Headers.ContentLength);
        Assert.Empty(response.Content.Headers.ContentEncoding);
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
        Assert.All(
            Hub.Log.Requests.Where(r => r.Asked == Asked.BlobBytes),
            r => Assert.True(r.AcceptEncoding is null or "identity", r.AcceptEncoding));
    }

    [Fact]
    public async Task If_None_Match_of_a_stored_blob_is_304()
    {
        Hub.AddBlob(Repository, Blob);
        await FillAsync();
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("If-None-Match", $"\"{Blob.Digest}\""));
        Assert.Equal(HttpStatusCode.NotModified, response.StatusCode);
    }

    [Fact]
    public async Task A_fill_cut_by_SIGKILL_leaves_nothing_under_a_final_name_and_is_resumed()
    {
        Hub.AddBlob(Repository, Blob);
        var gate = new Gate();
        Hub.Fault(Blob.Digest, BlobFault.StalledAt(6 * MiB, gate));
        using (var response = await Mirror.GetAsync(BlobPath(Blob.Digest)))
        {
            await using var body = await response.Content.ReadAsStreamAsync(Cancel);
            await body.ReadExactlyAsync(new byte[4 * MiB], Cancel);
            await Mirror.KillAsync();
        }
        Assert.False(IsStored(Blob.Digest));

        await Mirror.StartAgainAsync();
        using var next = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(next));
        Assert.NotNull(Hub.Log.Requests.Last(r => r.Asked == Asked.BlobBytes).Range);
    }

    [Fact]
    public async Task A_stored_blob_is_served_after_a_SIGKILL()
    {
        Hub.AddBlob(Repository, Blob);
        await FillAsync();
        await Mirror.KillAsync();
        await Hub.Registry.TakeDownAsync();
        await Mirror.StartAgainAsync();
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(response));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
    }

    private async Task FillAsync()
    {
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
        await Mirror.UntilStoredAsync(BlobPath(Blob.Digest));
    }

    /// <summary>Counts bytes and drops them.</summary>
    private sealed class CountingSink : Stream
    {
        private long _count;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _count;

        public override long Position
        {
            get => _count;
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count) => _count += count;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _count += buffer.Length;
            return ValueTask.CompletedTask;
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
