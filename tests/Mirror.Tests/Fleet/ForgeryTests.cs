using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Forged signatures, leases and upload addresses.</summary>
public sealed class ForgeryTests : FleetOfHub
{
    [Fact]
    public async Task A_forged_or_outdated_signature_is_not_accepted()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        using var whole = first;
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var zeros = new string('0', 64);
        foreach (var forged in new[] { "", "x", ":", $"{now}:", $"{now}:{zeros}", $"{long.MaxValue}:00", "-1:00", new string('9', 5000) })
        {
            // If the signature were accepted, this replica would start a second download.
            using var range = await Replicas[1].GetAsync(BlobPath(blob.Digest), ("X-Mirror-Replica", forged), ("Range", "bytes=0-9"));
            Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
            Assert.Equal(blob.Slice(0, 10), await range.Content.ReadAsByteArrayAsync(Cancel));
        }
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
    }

    [Fact]
    public async Task A_forged_lease_is_not_followed()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(11, MiB));
        await Redis.DoAsync("SET", Keys.Lease(blob.Digest), "http://169.254.169.254/ 0");
        using var response = await Replicas[0].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(CacheAnswer.Miss, CacheAnswer.Of(response));
    }

    [Fact]
    public async Task A_forged_upload_address_is_not_forwarded()
    {
        using var started = await AskAsync(HttpMethod.Post, "/v2/local/app/blobs/uploads/");
        var location = Http.LocationOf(started).PathAndQuery;
        var bare = location[..location.IndexOf('?', StringComparison.Ordinal)];
        // The address of another host: alone, and with something in the place of a signature.
        const string address = "aHR0cDovLzE2OS4yNTQuMTY5LjI1NC8", withZero = "aHR0cDovLzE2OS4yNTQuMTY5LjI1NC8gMA";
        foreach (var forged in new[] { null, "", "x", address, withZero, new string('A', 4000) })
        {
            using var status = await AskAsync(HttpMethod.Get, forged is null ? bare : $"{bare}?_state={forged}");
            Assert.Equal(HttpStatusCode.NoContent, status.StatusCode);
        }
    }

    private Task<HttpResponseMessage> AskAsync(HttpMethod method, string pathAndQuery) =>
        Http.Client.SendAsync(new HttpRequestMessage(method, new Uri(Replicas[0].Url, pathAndQuery)), Cancel);
}
