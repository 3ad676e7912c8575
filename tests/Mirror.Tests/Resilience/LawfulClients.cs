using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Clients that pull and push while something goes wrong. They ask again, as real clients do, and remember what was acknowledged and what
/// was wrong.
/// </summary>
internal sealed class LawfulClients
{
    private const int Layer = 50_000, MirroredLayer = 200_000;
    // A server that starts again on a busy machine takes its time.
    private const int MaxAttempts = 200;
    private const string Mirrored = "library/nginx", Pushed = "local/kept";

    private readonly MirrorProcess _mirror;
    private readonly HubImage[] _images;
    private readonly ConcurrentDictionary<(Digest Digest, bool IsManifest), bool> _acknowledged = new();
    private readonly ConcurrentQueue<string> _wrong = new();
    private readonly int _largest;
    private int _works;
    private int _maxAttempts = MaxAttempts;
    private int _pulls;
    private int _again;

    /// <param name="hub">Gets the images that the clients pull.</param>
    /// <param name="images">How many of them.</param>
    /// <param name="largest">How long every third layer is; null: as long as the others.</param>
    internal LawfulClients(MirrorProcess mirror, ScriptedHub hub, int images = 40, int? largest = null)
    {
        hub.PullLimit = null;
        (_mirror, _largest) = (mirror, largest ?? Layer);
        _images = [.. Enumerable.Range(0, images)
            .Select(i => hub.AddImage(Mirrored, $"{i}", HubBlob.Seeded(i, i % 3 == 2 ? largest ?? MirroredLayer : MirroredLayer)))];
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>What was done, and how often it had to be asked for again.</summary>
    internal string Figures =>
        $"{_pulls} pulls, {_acknowledged.Keys.Count(each => each.IsManifest)} pushes, {_again} requests asked again, {_wrong.Count} wrong";

    /// <summary>Pulls and pushes until it is over, and each client so often at least.</summary>
    internal Task WorkAsync(int rounds, CancellationToken over)
    {
        // No blob is pushed twice.
        var seed = 4 * _works++;
        return Task.WhenAll(Enumerable.Range(0, 4).Select(async client =>
        {
            var random = new Random(seed + client);
            for (var round = 0; round < rounds || !over.IsCancellationRequested; round++)
                if (client % 2 == 0)
                    await PullAsync(random.Next(_images.Length));
                else
                    await PushAsync(random, $"{client}-{round % 50}");
        }));
    }

    /// <summary>As <see cref="WorkAsync"/>, while nothing may succeed: no client asks again.</summary>
    internal async Task TryAsync(int rounds)
    {
        _maxAttempts = 1;
        await WorkAsync(rounds, new CancellationToken(canceled: true));
        _maxAttempts = MaxAttempts;
    }

    /// <summary>With all well again: every pull gets the correct bytes, and all that was acknowledged is there.</summary>
    internal async Task AssertNothingLostAsync()
    {
        Assert.Empty(_wrong);
        Assert.NotEmpty(_acknowledged);
        for (var image = 0; image < _images.Length; image++)
            await PullAsync(image);
        foreach (var (digest, isManifest) in _acknowledged.Keys)
            await GetAsync($"{Pushed}/{(isManifest ? "manifests" : "blobs")}/{digest}", digest);
        Assert.Empty(_wrong);
    }

    /// <summary>What was pulled, by tag and by digest, and what was acknowledged, is served at the first request.</summary>
    /// <remarks>After <see cref="AssertNothingLostAsync"/>, from what the mirror has of its own.</remarks>
    internal async Task AssertServedAtOnceAsync(string when)
    {
        var paths = _images.SelectMany((image, tag) => new[]
        {
            ($"{Mirrored}/manifests/{tag}", image.Digest),
            ($"{Mirrored}/manifests/{image.Digest}", image.Digest),
            ($"{Mirrored}/blobs/{image.Layers[0].Digest}", image.Layers[0].Digest),
        }).Concat(_acknowledged.Keys.Select(
            each => ($"{Pushed}/{(each.IsManifest ? "manifests" : "blobs")}/{each.Digest}", each.Digest)));
        foreach (var (path, digest) in paths)
        {
            using var response = await _mirror.GetAsync(path);
            Assert.Equal((when, path, HttpStatusCode.OK), (when, path, response.StatusCode));
            Assert.Equal(digest, Digest.Of(await response.Content.ReadAsByteArrayAsync(Cancel)));
        }
    }

    private async Task PullAsync(int tag)
    {
        var image = _images[tag];
        await GetAsync($"{Mirrored}/manifests/{tag}", image.Digest);
        await GetAsync($"{Mirrored}/blobs/{image.Layers[0].Digest}", image.Layers[0].Digest);
        Interlocked.Increment(ref _pulls);
    }

    private Task<bool> GetAsync(string path, Digest digest) => AgainAsync(path, async () =>
    {
        using var response = await _mirror.GetAsync(path);
        if (response.StatusCode != HttpStatusCode.OK)
            return response.StatusCode;
        var bytes = await response.Content.ReadAsByteArrayAsync(Cancel);
        if (Digest.Of(bytes) != digest)
            _wrong.Enqueue($"{path}: other bytes");
        return HttpStatusCode.OK;
    });

    private async Task PushAsync(Random random, string tag)
    {
        var repository = new PushedRepository(_mirror, Pushed);
        var layer = new byte[random.Next(3) == 2 ? _largest : Layer];
        random.NextBytes(layer);
        var digest = Digest.Of(layer);
        var config = Encoding.UTF8.GetBytes($"{{\"of\":\"{digest}\"}}");
        var manifest = ManifestText.Image(new(Oci: true), (Digest.Of(config), config.Length), [(digest, layer.Length)]);
        // A client begins a push again from its first blob.
        await AgainAsync($"push of {Pushed}:{tag}", async () =>
        {
            foreach (var blob in new[] { layer, config })
                if (await repository.StatusOfAsync("POST", $"blobs/uploads/?digest={Digest.Of(blob)}", blob) is var refused
                    && refused != HttpStatusCode.Created)
                    return refused;
            using var response = await repository.SendAsync("PUT", $"manifests/{tag}", manifest, MediaTypes.OciManifest);
            if (response.StatusCode == HttpStatusCode.Created)
                foreach (var each in new[] { (Digest.Of(manifest), true), (digest, false), (Digest.Of(config), false) })
                    _acknowledged[each] = true;
            return response.StatusCode;
        });
    }

    // Until it is done. What a client may not try again is wrong.
    private async Task<bool> AgainAsync(string what, Func<Task<HttpStatusCode>> askAsync)
    {
        for (var attempt = 1; attempt <= _maxAttempts; attempt++)
        {
            try
            {
                var status = await askAsync();
                if (status is HttpStatusCode.OK or HttpStatusCode.Created)
                    return true;
                if (status is not (HttpStatusCode.ServiceUnavailable or HttpStatusCode.InsufficientStorage))
                    _wrong.Enqueue($"{what}: {status}");
            }
            catch (Exception noticed) when (noticed is HttpRequestException or IOException)
            {
                // The connection was cut.
            }
            Interlocked.Increment(ref _again);
            await Task.Delay(Math.Min(10 * attempt, 200), Cancel);
        }
        if (_maxAttempts > 1)
            _wrong.Enqueue($"{what}: not done in {MaxAttempts} attempts");
        return false;
    }
}
