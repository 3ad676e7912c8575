using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Admin;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Many clients that pull twice as much as the cache may hold, with pushes, an open upload and garbage collections beside them: some
/// hundred pulls, with <c>MIRROR_TESTS=full</c> thirty clients for 20 minutes.
/// </summary>
/// <param name="unit">How large the images are: a layer of one to five units, and a base of four that others share.</param>
/// <param name="mirrors">The servers over one store. Each client asks one of them after the other.</param>
/// <param name="login">The <c>Authorization</c> header of the administrator of the first.</param>
/// <param name="list">What is stored: the paths with their lengths.</param>
internal sealed class WorkingSet(
    ScriptedHub hub, long unit, IReadOnlyList<MirrorProcess> mirrors, string login, Func<Task<Dictionary<string, long>>> list)
{
    private const int Bases = 8;
    private const int Pins = 3;
    private const int FirstOwn = 1000;

    private static readonly TimeSpan Duration = TimeSpan.FromMinutes(Figures.Minutes(20));

    private static readonly int Images = Figures.Count(sample: 80, full: 240);
    private static readonly int Clients = Figures.Count(sample: 8, full: 30);

    // A figure only: an image is half stored until the server has made room for what it has sent.
    private static readonly TimeSpan MaxHalf = TimeSpan.FromSeconds(30);
    private readonly Lock _gate = new();
    private readonly List<(int Image, bool Downloads)> _trace = [];
    private readonly int[] _running = new int[Images];
    private readonly DateTimeOffset?[] _halfSince = new DateTimeOffset?[Images];
    private readonly ConcurrentQueue<string> _wrong = new();
    private readonly ConcurrentDictionary<string, Digest> _pushed = new();
    private readonly HashSet<int> _pinsSeen = [];
    private readonly HashSet<int> _half = [];
    private HubImage[] _images = [];
    private int _joined;
    private int _collections;
    private long _most;

    /// <summary>The limit that holds half of the images.</summary>
    internal static long LimitOf(long unit) => (Images * 3 + Bases * 4) * unit / 2;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private PushedRepository Slow => new(mirrors[0], "local/slow");

    private static IEnumerable<int> Pinned => Enumerable.Range(Images - Pins, Pins);

    internal async Task RunAsync()
    {
        // What is evicted, and then collected as garbage, is fetched again.
        hub.PullLimit = null;
        HubBlob[] bases = [.. Enumerable.Range(0, Bases).Select(i => HubBlob.Seeded(i, 4 * unit))];
        _images =
        [
            .. Enumerable.Range(0, Images).Select(i => hub.AddImage(
                NameOf(i), $"{i}", bases[i % Bases], HubBlob.Seeded(FirstOwn + i, (1 + i % 5) * unit))),
        ];
        foreach (var i in Pinned)
        {
            using var pinned = await AdminApi.SendAsync(
                mirrors[0].Debug, HttpMethod.Post, "pin", login, new { image = $"{NameOf(i)}:{i}" });
            Assert.Equal(HttpStatusCode.OK, pinned.StatusCode);
            await PullAsync(i, mirrors[0]);
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var upload = UploadAsync(over.Token);
        var beside = Task.WhenAll(
            UntilAsync(PushAsync, every: 2, over.Token), UntilAsync(CollectAsync, every: 30, over.Token, sample: 2),
            UntilAsync(LookAsync, every: mirrors.Count, over.Token), upload);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(PullAllAsync));
        await over.CancelAsync();
        await beside;
        // A collection without a grace could take the blob between the last request of the upload and the read.
        await EndUploadAsync(await upload);
        await AssertAsync();
    }

    private static RepositoryName Repository(int image) => RepositoryName.Parse(NameOf(image));

    private static string NameOf(int image) => $"library/app{image % 4}";

    private static async Task UntilAsync(Func<Task> act, double every, CancellationToken over, double sample = 0.1)
    {
        while (!over.IsCancellationRequested)
        {
            await act();
            var pause = Task.Delay(TimeSpan.FromSeconds(Figures.Full ? every : sample), over);
            await pause.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // A few images are pulled often, as in practice.
    private async Task PullAllAsync(int client)
    {
        var random = Figures.Random(client);
        using var end = new CancellationTokenSource(Duration);
        for (var pulls = 0; Figures.Full ? !end.IsCancellationRequested : pulls < 25; pulls++)
        {
            await PullAsync(random.Next(random.Next(1, Images + 1)), mirrors[(client + pulls) % mirrors.Count]);
            if (Figures.Full)
                await Task.Delay(random.Next(4000), Cancel);
        }
    }

    private async Task PullAsync(int i, MirrorProcess mirror)
    {
        int place;
        lock (_gate)
        {
            (place, _running[i]) = (_trace.Count, _running[i] + 1);
            _trace.Add((i, false));
        }
        var answers = new HashSet<string?>();
        var image = _images[i];
        try
        {
            await ReadAsync($"{NameOf(i)}/manifests/{i}", image.Digest);
            answers.Clear();
            foreach (var blob in image.Layers.Prepend(image.Config))
                await ReadAsync($"{NameOf(i)}/blobs/{blob.Digest}", blob.Digest);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            _wrong.Enqueue($"{image.Digest}: {failure.Message}");
        }
        lock (_gate)
        {
            _trace[place] = (i, answers.Contains(CacheAnswer.Miss));
            _running[i]--;
            _joined += answers.Contains(CacheAnswer.Joined) && !answers.Contains(CacheAnswer.Miss) ? 1 : 0;
        }

        async Task ReadAsync(string path, Digest digest)
        {
            var (got, status, answer) = await DigestOfAsync(mirror, path);
            answers.Add(answer);
            if (got != digest)
                _wrong.Enqueue($"{DateTime.UtcNow:O} {mirror.Authority} {path}: {status}, {got}");
        }
    }

    // Follows a redirect to the bucket.
    private static async Task<(Digest Digest, string Status, string? Answer)> DigestOfAsync(MirrorProcess mirror, string path)
    {
        var response = await mirror.GetAsync(path);
        var (status, answer) = ($"{(int)response.StatusCode}", CacheAnswer.Of(response));
        if (response is { StatusCode: HttpStatusCode.TemporaryRedirect, Headers.Location: { } location })
        {
            response.Dispose();
            response = await Http.Client.GetAsync(location, HttpCompletionOption.ResponseHeadersRead, Cancel);
            status = $"307 and then {(int)response.StatusCode}";
        }
        using (response)
            return (Digest.Of(await response.Content.ReadAsByteArrayAsync(Cancel)), status, answer);
    }

    private async Task PushAsync()
    {
        var reference = $"{_pushed.Count}";
        var config = HubBlob.Seeded(100_000 + _pushed.Count, 100_000).Slice(0, 100_000);
        var manifest = PushedRepository.Manifest(Digest.Of(config));
        while (!await Pushes.PushAsync(mirrors[^1], "local/app", reference, manifest, [config]))
        {
            // A collection without a grace took the blob before the manifest came.
        }
        _pushed[reference] = Digest.Of(manifest);
    }

    // An upload that is open all the time.
    private async Task<(string Location, byte[] Bytes)> UploadAsync(CancellationToken over)
    {
        var (location, bytes) = (await Slow.BeginAsync(), new List<byte>());
        await UntilAsync(
            async () =>
            {
                var more = HubBlob.Seeded(bytes.Count, 1000).Slice(0, 1000);
                using var response = await Slow.SendAsync("PATCH", location, more);
                Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
                location = PushedRepository.Location(response);
                bytes.AddRange(more);
            },
            every: 5, over);
        return (location, [.. bytes]);
    }

    private async Task EndUploadAsync((string Location, byte[] Bytes) upload)
    {
        var (location, digest) = (upload.Location, Digest.Of(upload.Bytes));
        var end = $"{location}{(location.Contains('?', StringComparison.Ordinal) ? '&' : '?')}digest={digest}";
        using var put = await Slow.SendAsync("PUT", end);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        Assert.Equal(digest, (await DigestOfAsync(mirrors[0], $"local/slow/blobs/{digest}")).Digest);
    }

    private async Task CollectAsync()
    {
        try
        {
            await mirrors[^1].CollectAsync();
            _collections++;
        }
        catch (PeerFailedException busy) when (busy.Message.Contains("another garbage collection", StringComparison.Ordinal))
        {
            // The next one will do.
        }
    }

    // What is stored, how much that is, and whether each image is whole or gone.
    private async Task LookAsync()
    {
        int[] before;
        lock (_gate)
            before = [.. _running];
        var stored = await list();
        var bytes = _images.SelectMany(image => image.Layers).DistinctBy(layer => layer.Digest)
            .Sum(layer => stored.GetValueOrDefault(RegistryLayout.BlobData(layer.Digest)));
        lock (_gate)
        {
            // Each may be in the store already, and downloads for more than one client once only.
            var running = Enumerable.Range(0, Images).Where(i => before[i] + _running[i] > 0)
                .Sum(i => _images[i].Layers.Sum(layer => layer.Size));
            _most = Math.Max(_most, bytes);
            if (bytes > LimitOf(unit) * 1.1 + running)
                _wrong.Enqueue($"{bytes} bytes are stored while {running} are being pulled, and the limit is {LimitOf(unit)}");
            for (var i = 0; i < Images; i++)
            {
                var isWhole = _images[i].Layers.All(layer => stored.ContainsKey(RegistryLayout.BlobData(layer.Digest)));
                if (Pinned.Contains(i) && isWhole)
                    _pinsSeen.Add(i);
                else if (_pinsSeen.Contains(i))
                    _wrong.Enqueue($"image {i} is pinned, and something of it is gone");
                var isHalf = !isWhole && before[i] + _running[i] == 0
                    && stored.ContainsKey(RegistryLayout.TagCurrent(Repository(i), $"{i}"));
                _halfSince[i] = isHalf ? _halfSince[i] ?? DateTimeOffset.UtcNow : null;
                if (DateTimeOffset.UtcNow - _halfSince[i] > MaxHalf)
                    _half.Add(i);
            }
        }
    }

    // No pull runs any more.
    private async Task<int[]> HalfAsync()
    {
        await LookAsync();
        return [.. Enumerable.Range(0, Images).Where(i => _halfSince[i] is not null)];
    }

    private async Task AssertAsync()
    {
        var (hits, ideal) = (_trace.Count(pull => !pull.Downloads), IdealHits());
        var (evicted, notKept) = (0.0, 0.0);
        foreach (var mirror in mirrors)
        {
            evicted += await mirror.MetricAsync("mirror_cache_evictions_total");
            notKept += await mirror.MetricAsync("mirror_cache_not_kept_total");
        }
        Figures.Report(
            $"{Clients} clients, {mirrors.Count} servers, limit {LimitOf(unit) >> 20} MiB: {_trace.Count} pulls, {_wrong.Count} wrong, "
            + $"{hits} without a download of their own ({_joined} of them joined another's), {ideal} with an ideal order; "
            + $"{_most * 100 / LimitOf(unit)} % of the limit at most; {_pushed.Count} pushes, {_collections} collections; "
            + $"{evicted} layers were evicted, {notKept} not kept; {_half.Count} images were half stored for a while");
        Assert.True(_wrong.IsEmpty, string.Join('\n', [.. _wrong.Take(20), .. mirrors.SelectMany(Troubles)]));
        int[] left = [];
        await Until.TrueAsync(
            async () => (left = await HalfAsync()) is [],
            () => string.Join('\n', [$"left half: {string.Join(' ', left)}", .. mirrors.SelectMany(Troubles)]), TimeSpan.FromMinutes(12));
        Assert.True(hits >= 0.9 * ideal, $"{hits} hits of {_trace.Count}, {ideal} with an ideal order");
        Assert.Equal(Pins, _pinsSeen.Count);
        Assert.All(Pinned, i => Assert.Equal(_images[i].Layers[1].Size, hub.Log.BodyBytes(_images[i].Layers[1].Digest)));
        Assert.NotEqual(0, evicted);
        var pushed = new PushedRepository(mirrors[0], "local/app");
        foreach (var (reference, digest) in _pushed)
        {
            var manifest = await pushed.BytesAsync($"manifests/{reference}");
            Assert.Equal(digest, Digest.Of(manifest));
            foreach (var blob in ManifestDocument.Read(manifest)!.Blobs)
                Assert.Equal(blob.Digest, (await DigestOfAsync(mirrors[0], $"local/app/blobs/{blob.Digest}")).Digest);
        }
        Assert.Equal(0, (await mirrors[0].RunAsync("verify")).Code);
        string[] half = [];
        await Until.TrueAsync(
            async () =>
            {
                using var answer = await AdminApi.SendAsync(mirrors[0].Debug, HttpMethod.Get, "images?n=1000&search=library/", login);
                using var page = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancel));
                half =
                [
                    .. page.RootElement.GetProperty("images").EnumerateArray().Where(image => !image.GetProperty("whole").GetBoolean())
                        .Select(image => image.ToString()),
                ];
                return half is [];
            },
            () => string.Join('\n', [.. half, .. mirrors.SelectMany(mirror => mirror.Log.Where(line => line.Contains("not kept")))]));
    }

    private static IEnumerable<string> Troubles(MirrorProcess mirror) =>
        mirror.Log.Where(line => line.Contains("level=warn") || line.Contains("level=error")).TakeLast(100);

    // The least recently used image goes when the next one has no room, and no pinned one.
    private int IdealHits()
    {
        List<int> kept = [];
        Dictionary<Digest, int> holders = [];
        var (hits, bytes) = (0, 0L);
        foreach (var (i, _) in _trace)
        {
            if (kept.Remove(i))
                hits++;
            else
                foreach (var blob in _images[i].Layers)
                    bytes += (holders[blob.Digest] = holders.GetValueOrDefault(blob.Digest) + 1) == 1 ? blob.Size : 0;
            kept.Add(i);
            for (var oldest = 0; bytes > LimitOf(unit) && oldest < kept.Count - 1;)
                if (Pinned.Contains(kept[oldest]))
                    oldest++;
                else
                {
                    foreach (var blob in _images[kept[oldest]].Layers)
                        bytes -= --holders[blob.Digest] == 0 ? blob.Size : 0;
                    kept.RemoveAt(oldest);
                }
        }
        return hits;
    }
}
