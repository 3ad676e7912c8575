using System.Diagnostics;
using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>SIGKILL at any moment, and SIGTERM.</summary>
public sealed class KillTests : MirrorOfHub
{
    private const int Size = 2 << 20;

    [Fact]
    public async Task Killed_at_random_moments_of_eight_cold_pulls_it_serves_nothing_wrong_and_pulls_work_again()
    {
        var random = Figures.Random(3);
        var (rounds, slowest) = (Figures.Count(4, 100), TimeSpan.Zero);
        for (var round = 0; round < rounds; round++)
        {
            var blobs = Enumerable.Range(round * 8, 8).Select(seed => Hub.AddBlob(Repository, HubBlob.Seeded(seed, Size))).ToList();
            Hub.Log.Clear();
            var pulls = blobs.ConvertAll(PullAsync);
            var moment = random.NextInt64(8 * Size);
            await Until.TrueAsync(() => Hub.Log.BodyBytes() >= moment, () => "Nothing is pulled.");
            await Mirror.KillAsync();
            Assert.All(await Task.WhenAll(pulls), pull => Assert.True(pull.Right));

            var started = Stopwatch.GetTimestamp();
            await Mirror.StartAgainAsync();
            slowest = TimeSpan.FromTicks(Math.Max(slowest.Ticks, Stopwatch.GetElapsedTime(started).Ticks));
            Assert.All(await Task.WhenAll(blobs.ConvertAll(PullAsync)), pull => Assert.Equal((true, true), pull));
        }
        Figures.Report($"{rounds} kills during 8 cold pulls: 0 wrong bytes, every pull works afterwards, ready after {slowest.TotalMilliseconds:F0} ms at most");
    }

    [Fact]
    public async Task SIGTERM_lets_running_downloads_finish_and_takes_no_new_ones()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, Size));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(Size / 2, gate));
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
        Mirror.AskToStop();
        await Until.TrueAsync(
            async () =>
            {
                using var client = new HttpClient();
                try
                {
                    using var _ = await client.GetAsync(new Uri(Mirror.Url, "/v2/"), Cancel);
                    return false;
                }
                catch (HttpRequestException)
                {
                    return true;
                }
            },
            () => "New connections are still taken.");
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(0, await Mirror.EndedAsync());
        Assert.True(IsStored(blob.Digest));
    }

    private async Task<(bool Ended, bool Right)> PullAsync(HubBlob blob)
    {
        long offset = 0;
        try
        {
            using var response = await Mirror.GetAsync(BlobPath(blob.Digest));
            if (response.StatusCode != HttpStatusCode.OK)
                return (false, true);
            await using var body = await response.Content.ReadAsStreamAsync(Cancel);
            var (buffer, expected) = (new byte[64 * 1024], new byte[64 * 1024]);
            while (await body.ReadAsync(buffer, Cancel) is > 0 and var read)
            {
                blob.Read(offset, expected.AsSpan(0, read));
                if (!buffer.AsSpan(0, read).SequenceEqual(expected.AsSpan(0, read)))
                    return (false, false);
                offset += read;
            }
        }
        catch (Exception cut) when (cut is IOException or HttpRequestException)
        {
            return (false, true);
        }
        return (true, offset == blob.Size);
    }
}
