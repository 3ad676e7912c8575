using System.Diagnostics;
using System.Net;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>The mirror is stopped by SIGKILL at any moment, or by SIGTERM.</summary>
public sealed class KillTests : MirrorOfHub
{
    private const int Size = 2 << 20;

    [Fact]
    public async Task Killed_during_cold_pulls_it_serves_no_wrong_byte_and_resumes()
    {
        var random = Figures.Random(3);
        var rounds = Figures.Count(4, 100);
        List<TimeSpan> ready = [];
        for (var round = 0; round < rounds; round++)
        {
            var blobs = Enumerable.Range(round * 8, 8).Select(seed => Hub.AddBlob(Repository, HubBlob.Seeded(seed, Size))).ToList();
            Hub.Log.Clear();
            var pulls = blobs.ConvertAll(PullAsync);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            var uploads = Enumerable.Range(0, 4).Select(_ => UploadAsync(stop.Token)).ToList();
            var moment = random.NextInt64(8 * Size);
            await Until.TrueAsync(() => Hub.Log.BodyBytes() >= moment, () => "The pulls do not progress.");
            await Mirror.KillAsync();
            Assert.All(await Task.WhenAll(pulls), pull => Assert.True(pull.Right));
            await stop.CancelAsync();
            await Task.WhenAll(uploads);

            var started = Stopwatch.GetTimestamp();
            await Mirror.StartAgainAsync();
            ready.Add(Stopwatch.GetElapsedTime(started));
            Assert.All(await Task.WhenAll(blobs.ConvertAll(PullAsync)), pull => Assert.Equal((true, true), pull));
        }
        Figures.Report(
            $"{rounds} kills during 8 cold pulls and 4 uploads: 0 wrong bytes, every pull works afterwards, "
            + $"ready after {Figures.Milliseconds(ready, .5)} (median), {Figures.Milliseconds(ready, 1)} (worst)");
    }

    [Fact]
    public async Task Thousands_of_partial_downloads_and_uploads_do_not_delay_a_start()
    {
        await Mirror.KillAsync();
        List<TimeSpan> bare = [], littered = [];
        await MeasureAsync(bare);
        const int leftovers = 2000;
        for (var i = 0; i < leftovers; i++)
        {
            // A sparse file: half of a layer that was never completed.
            MakeHalf(RegistryLayout.Fill(Digest.Parse($"sha256:{i:x64}")));
            MakeHalf(RegistryLayout.UploadData(RepositoryName.Parse($"local/app-{i % 50}"), Guid.NewGuid()));
        }
        await MeasureAsync(littered);
        Figures.Report(
            $"{leftovers} half downloads and half uploads each: ready after {Figures.Milliseconds(littered, .5)} (median), "
            + $"{Figures.Milliseconds(littered, 1)} (worst); without them {Figures.Milliseconds(bare, .5)}");
        // A generous limit: reading all partial files would take minutes.
        Assert.InRange(littered.Min(), TimeSpan.Zero, TimeSpan.FromSeconds(20));

        void MakeHalf(string path)
        {
            path = Path.Combine(Mirror.Root, path);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
            RandomAccess.SetLength(file, 64 << 20);
        }

        async Task MeasureAsync(List<TimeSpan> times)
        {
            for (var i = 0; i < Figures.Count(2, 20); i++)
            {
                var started = Stopwatch.GetTimestamp();
                await Mirror.StartAgainAsync();
                times.Add(Stopwatch.GetElapsedTime(started));
                await Mirror.KillAsync();
            }
        }
    }

    [Fact]
    public async Task SIGTERM_lets_running_downloads_finish_and_refuses_new_ones()
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
            () => "The mirror still accepts connections.");
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(0, await Mirror.EndedAsync());
        Assert.True(IsStored(blob.Digest));
    }

    // Uploads chunks until the mirror is killed.
    private async Task UploadAsync(CancellationToken stop)
    {
        var repository = new PushedRepository(Mirror, "local/app");
        try
        {
            var location = await repository.BeginAsync();
            while (!stop.IsCancellationRequested)
                using (await repository.SendAsync("PATCH", location, new byte[256 * 1024]))
                {
                }
        }
        catch (Exception gone) when (gone is HttpRequestException or IOException)
        {
            // The mirror was killed.
        }
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
