using System.Net;
using Microsoft.AspNetCore.WebUtilities;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Several ranges in one request (RFC 9110, 14), as lazy and partial pulls ask for them.</summary>
public sealed class SeveralRangesTests : MirrorOfHub
{
    private const int MiB = 1024 * 1024;

    private static readonly (string, string) Podman = ("User-Agent", "containers/5.23.1 (github.com/containers/image)");

    private static readonly HubBlob Blob = HubBlob.Seeded(9, 100_000);

    [Theory]
    [InlineData("bytes=0-9,20-29", "0-9", "20-29")]
    [InlineData("bytes=20-29, 0-9", "20-29", "0-9")]
    [InlineData("bytes=0-0,-1", "0-0", "99999-99999")]
    [InlineData("bytes=0-9,10-19,15-24,40-49", "0-24", "40-49")]
    [InlineData("bytes=10-19,0-9", "0-19")]
    [InlineData("bytes=0-9,0-9", "0-9")]
    [InlineData("bytes=0-9,200000-200009,50-59", "0-9", "50-59")]
    [InlineData("bytes=0-9,200000-", "0-9")]
    [InlineData("bytes=0-9,-0", "0-9")]
    public async Task Each_part_is_sent_once_in_the_order_of_the_request(string asked, params string[] expected)
    {
        Hub.AddBlob(Repository, Blob);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", asked));
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal(expected, await PartsAsync(response, Blob));
    }

    [Theory]
    [InlineData("bytes=0-,0-")]
    [InlineData("bytes=0-60000,30000-99999")]
    [InlineData("bytes=0-,-1")]
    public async Task Ranges_that_cost_more_than_the_whole_get_the_whole(string asked)
    {
        Hub.AddBlob(Repository, Blob);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", asked));
        Assert.Equal((HttpStatusCode.OK, (long?)Blob.Size), (response.StatusCode, response.Content.Headers.ContentLength));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
    }

    // podman 4.3 asks for each new file of a layer of zstd:chunked, also where two such files are neighbours, and for 1,024 ranges at most.
    // It expects as many parts.
    [Theory]
    [InlineData(40, 10)]
    [InlineData(1024, 10)]
    [InlineData(1024, 60)]
    public async Task Each_range_that_podman_asks_for_has_its_own_part(int count, int distance)
    {
        Hub.AddBlob(Repository, Blob);
        string[] asked = [.. Enumerable.Range(0, count).Select(i => $"{i * distance}-{i * distance + 9}")];
        foreach (var _ in (string[])["from upstream", "from the store"])
        {
            using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", $"bytes={string.Join(',', asked)}"), Podman);
            Assert.Equal(asked, await PartsAsync(response, Blob));
        }
        await AssertWholeAsync(1025, Podman);
    }

    [Fact]
    public async Task More_than_sixteen_parts_of_other_clients_are_the_whole()
    {
        Hub.AddBlob(Repository, Blob);
        await AssertWholeAsync(17);
    }

    [Fact]
    public async Task Only_the_named_content_is_sent_in_parts()
    {
        Hub.AddBlob(Repository, Blob);
        const string asked = "bytes=0-9,20-29";
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", asked), ("If-Range", $"\"{Blob.Digest}\""));
        Assert.Equal(["0-9", "20-29"], await PartsAsync(response, Blob));

        using var other = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", asked), ("If-Range", "\"another\""));
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        using var beyond = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", "bytes=100000-,200000-200001"));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, beyond.StatusCode);
        Assert.Equal($"bytes */{Blob.Size}", beyond.Content.Headers.ContentRange?.ToString());
    }

    [Fact]
    public async Task Parts_far_ahead_of_a_running_download_do_not_wait_for_it()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(8, 64 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(MiB, gate));
        using var whole = await Mirror.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        // The last one is in the part that has arrived.
        var asked = $"bytes={60 * MiB}-{60 * MiB + 99},{40 * MiB}-{41 * MiB - 1},{50 * MiB}-{50 * MiB},0-99";
        using var parts = await Mirror.GetAsync(BlobPath(blob.Digest), ("Range", asked));
        Assert.Equal(asked["bytes=".Length..].Split(','), await PartsAsync(parts, blob));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
        Assert.InRange(Hub.Log.BodyBytes(blob.Digest), blob.Size, blob.Size * 11 / 10);
    }

    [Fact]
    public async Task Many_parts_far_ahead_of_a_running_download_cost_sixteen_requests()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(8, 32 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(MiB, gate));
        using var whole = await Mirror.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        string[] asked = [.. Enumerable.Range(0, 100).Select(i => $"{16 * MiB + i * 1000}-{16 * MiB + i * 1000 + 9}")];
        using var parts = await Mirror.GetAsync(BlobPath(blob.Digest), ("Range", $"bytes={string.Join(',', asked)}"), Podman);
        var reading = PartsAsync(parts, blob);
        await Until.TrueAsync(() => Hub.Log.Count(Asked.BlobBytes) == 17, () => $"{Hub.Log.Count(Asked.BlobBytes)} requests");
        gate.Open();
        Assert.Equal(asked, await reading);
        Assert.Equal(17, Hub.Log.Count(Asked.BlobBytes));
    }

    [Fact]
    public async Task Parts_that_have_not_arrived_wait_for_the_running_download()
    {
        Hub.AddBlob(Repository, Blob);
        var gate = new Gate();
        Hub.Fault(Blob.Digest, BlobFault.StalledAt(1000, gate));
        using var whole = await Mirror.GetAsync(BlobPath(Blob.Digest));
        await gate.Reached;
        var asking = Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", "bytes=90000-90009,99990-99999,0-9"));
        gate.Open();
        using var parts = await asking;
        Assert.Equal(["90000-90009", "99990-99999", "0-9"], await PartsAsync(parts, Blob));
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
    }

    private async Task AssertWholeAsync(int ranges, params (string, string)[] headers)
    {
        var asked = "bytes=" + string.Join(',', Enumerable.Range(0, ranges).Select(i => $"{i * 2}-{i * 2}"));
        using var whole = await Mirror.GetAsync(BlobPath(Blob.Digest), [("Range", asked), .. headers]);
        Assert.Equal((HttpStatusCode.OK, (long?)Blob.Size), (whole.StatusCode, whole.Content.Headers.ContentLength));
    }

    // The ranges of the parts, each of which has the correct bytes.
    private static async Task<string[]> PartsAsync(HttpResponseMessage response, HubBlob blob)
    {
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        var (headers, body) = (response.Content.Headers, await response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(headers.ContentLength, body.Length);
        if (headers.ContentRange is { } only)
        {
            Assert.Equal(blob.Slice(only.From!.Value, only.To!.Value + 1), body);
            return [$"{only.From}-{only.To}"];
        }
        Assert.Equal("multipart/byteranges", headers.ContentType?.MediaType);
        var reader = new MultipartReader(headers.ContentType!.Parameters.Single().Value!, new MemoryStream(body)) { HeadersCountLimit = 2 };
        List<string> parts = [];
        while (await reader.ReadNextSectionAsync(Cancel) is { } section)
        {
            using var bytes = new MemoryStream();
            await section.Body.CopyToAsync(bytes, Cancel);
            var range = System.Net.Http.Headers.ContentRangeHeaderValue.Parse(section.Headers!["Content-Range"].ToString());
            Assert.Equal((blob.Size, "application/octet-stream"), (range.Length, section.ContentType));
            Assert.Equal(blob.Slice(range.From!.Value, range.To!.Value + 1), bytes.ToArray());
            parts.Add($"{range.From}-{range.To}");
        }
        return [.. parts];
    }
}
