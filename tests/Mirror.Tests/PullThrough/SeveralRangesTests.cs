using System.Net;
using Microsoft.AspNetCore.WebUtilities;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Several ranges in one request (RFC 9110, 14), as lazy and partial pulls ask for them.</summary>
public sealed class SeveralRangesTests : MirrorOfHub
{
    private const int MiB = 1024 * 1024;

    private static readonly HubBlob Blob = HubBlob.Seeded(9, 100_000);

    [Theory]
    [InlineData("bytes=0-9,20-29", "0-9", "20-29")]
    [InlineData("bytes=20-29, 0-9", "20-29", "0-9")]
    [InlineData("bytes=0-0,-1", "0-0", "99999-99999")]
    [InlineData("bytes=0-9,10-19,15-24,40-49", "0-24", "40-49")]
    [InlineData("bytes=30-39,0-9,5-34", "0-39")]
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
    [InlineData("bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30,32-32")]
    public async Task Ranges_that_cost_more_than_the_whole_get_the_whole(string asked)
    {
        Hub.AddBlob(Repository, Blob);
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", asked));
        Assert.Equal((HttpStatusCode.OK, (long?)Blob.Size), (response.StatusCode, response.Content.Headers.ContentLength));
        Assert.Equal(Blob.Digest, await DigestOfAsync(response));
    }

    [Fact]
    public async Task Sixteen_ranges_are_served_and_none_of_another_content()
    {
        Hub.AddBlob(Repository, Blob);
        var asked = "bytes=" + string.Join(',', Enumerable.Range(0, 16).Select(i => $"{i * 100}-{i * 100 + 9}"));
        using var response = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", asked), ("If-Range", $"\"{Blob.Digest}\""));
        Assert.Equal(16, (await PartsAsync(response, Blob)).Length);

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
    public async Task Parts_that_have_not_arrived_wait_for_the_running_download()
    {
        Hub.AddBlob(Repository, Blob);
        var gate = new Gate();
        Hub.Fault(Blob.Digest, BlobFault.StalledAt(1000, gate));
        using var whole = await Mirror.GetAsync(BlobPath(Blob.Digest));
        await gate.Reached;
        using var parts = await Mirror.GetAsync(BlobPath(Blob.Digest), ("Range", "bytes=90000-90009,99990-99999,0-9"));
        gate.Open();
        Assert.Equal(["90000-90009", "99990-99999", "0-9"], await PartsAsync(parts, Blob));
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
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
