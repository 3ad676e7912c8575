using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Everything at once: pulls of twice the limit, pushes, garbage collections, kill -9, an upstream that cuts, lies and is away. For some
/// seconds; with <c>MIRROR_TESTS=full</c> for half an hour, or for <c>MIRROR_MINUTES</c>.
/// </summary>
public sealed partial class SoakTests : MirrorOfHub
{
    private const long MiB = 1 << 20;
    private const long Limit = 32 * MiB;
    private const int Images = 60;

    // Far more than the process needs, and far less than it would have if it kept something of each request.
    private const long MostMemory = 256 * MiB;

    private static readonly TimeSpan Duration = Figures.Full ? TimeSpan.FromMinutes(Figures.Minutes(30)) : TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<Digest, bool> _acknowledged = new();
    private readonly ConcurrentQueue<string> _wrong = new();
    private HubImage[] _images = [];
    private int _right;
    private int _kills;
    private int _collections;

    protected override MirrorSettings Settings(ScriptedHub hub) => new()
    {
        Upstream = hub.Url,
        TagsCacheTtl = "1s",
        Environment = new Dictionary<string, string> { ["REGISTRY_PROXY_MAX_SIZE"] = "32MiB" },
    };

    [Fact]
    public async Task Nothing_is_lost_and_nothing_wrong_is_sent_and_the_limit_holds()
    {
        // What is evicted, and then collected as garbage, is fetched again.
        Hub.PullLimit = null;
        _images = [.. Enumerable.Range(0, Images)
            .Select(i => Hub.AddImage(Repository, $"{i}", HubBlob.Seeded(i, (int)(2 * Limit / Images))))];
        var open = Mirror.Open.Count();
        var most = 0L;
        using (var over = CancellationTokenSource.CreateLinkedTokenSource(Cancel))
        using (var killed = CancellationTokenSource.CreateLinkedTokenSource(Cancel))
        {
            over.CancelAfter(Duration);
            // Then one process lives on: what it does not give back is seen at the end.
            killed.CancelAfter(Duration / 2);
            await Task.WhenAll(
            [
                .. Enumerable.Range(0, 3).Select(i => UntilAsync(new Random(i), PullAsync, over.Token)),
                UntilAsync(new Random(10), PushAsync, over.Token),
                UntilAsync(new Random(20), CollectAsync, over.Token),
                UntilAsync(new Random(30), TroubleAsync, over.Token),
                UntilAsync(new Random(40), KillAsync, killed.Token),
                UntilAsync(
                    new Random(50),
                    async _ =>
                    {
                        most = Math.Max(most, Stored());
                        await Task.Delay(20, CancellationToken.None);
                    },
                    over.Token),
            ]);
        }
        var (right, acknowledged) = (_right, _acknowledged.Values.Count(isManifest => isManifest));
        Assert.Empty(_wrong);
        Assert.NotEqual(0, _right);
        Assert.NotEmpty(_acknowledged);
        Assert.InRange(most, 0, Limit + Limit / 10);

        // All is well again.
        foreach (var (digest, isManifest) in _acknowledged)
            using (var response = await Mirror.GetAsync(isManifest ? ManifestPath(digest, "local/soak") : BlobPath(digest, "local/soak")))
                Assert.Equal(digest, await DigestOfAsync(response));
        for (var i = 0; i < Images; i++)
        {
            var image = i;
            await Until.TrueAsync(
                async () =>
                {
                    var before = Volatile.Read(ref _right);
                    await PullAsync(image);
                    return Volatile.Read(ref _right) > before;
                },
                () => string.Join('\n', Mirror.Log));
        }
        Assert.Empty(_wrong);
        await VerifyAsync();
        await Until.TrueAsync(
            () => Mirror.Open.Count() <= open + 50, () => string.Join('\n', Mirror.Open));
        await Until.TrueAsync(() => Mirror.Resident <= MostMemory, () => $"{Mirror.Resident / MiB} MiB");
        // What the killed processes were writing goes when it is old.
        var temporary = Path.Combine(Mirror.Root, RegistryLayout.Temporary);
        foreach (var file in Directory.GetFiles(temporary))
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddDays(-8));
        await Until.TrueAsync(
            async () =>
            {
                await CollectAsync(new Random(60));
                return Directory.GetFiles(temporary) is [];
            },
            () => string.Join('\n', Directory.GetFiles(temporary)));
        Figures.Report(
            $"soak of {Duration.TotalSeconds} s: {right} right pulls, {acknowledged} pushes, {_kills} kills, {_collections} collections; "
            + $"0 wrong, 0 lost, {most * 100 / Limit} % of the limit at most; afterwards {Mirror.Open.Count() - open} files more than "
            + $"before and {Mirror.Resident / MiB} MiB of memory");
    }

    // A push that a kill interrupted may leave a tag whose layer a collection has taken: it was not acknowledged.
    private async Task VerifyAsync()
    {
        var (_, output) = await Mirror.RunAsync("verify");
        Assert.Contains(" intact, 0 damaged", output, StringComparison.Ordinal);
        var pushed = _acknowledged.Keys.Select(digest => digest.Hex).ToHashSet();
        foreach (var line in output.Split('\n').Where(line => line.StartsWith("broken: ", StringComparison.Ordinal)))
            Assert.DoesNotContain(line["broken: local/soak:".Length..][..Digest.Of([]).Hex.Length], pushed);
    }

    private static async Task UntilAsync(Random random, Func<Random, Task> act, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
            await act(random);
    }

    private Task PullAsync(Random random) => PullAsync(random.Next(random.Next(1, Images + 1)));

    // A client gets what it asks for, or notices that it does not.
    private async Task PullAsync(int tag)
    {
        var image = _images[tag];
        foreach (var (path, digest) in new[]
        {
            (ManifestPath(tag), image.Digest), (BlobPath(image.Layers[0].Digest), image.Layers[0].Digest),
        })
            try
            {
                using var response = await Mirror.GetAsync(path);
                if (response.StatusCode != HttpStatusCode.OK)
                    return;
                if (await DigestOfAsync(response) is var got && got != digest)
                    _wrong.Enqueue($"{path}: {got}");
            }
            catch (Exception noticed) when (noticed is HttpRequestException or IOException)
            {
                return;
            }
        Interlocked.Increment(ref _right);
    }

    // An image of one layer. A layer without a manifest is for a collection to take.
    private async Task PushAsync(Random random)
    {
        var bytes = new byte[100_000];
        random.NextBytes(bytes);
        try
        {
            var pushed = new PushedRepository(Mirror, "local/soak");
            var (layer, config) = (await pushed.PushAsync(bytes), await pushed.PushAsync("{}"u8.ToArray()));
            var manifest = Encoding.UTF8.GetBytes($$"""
                {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}",
                 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"{{config}}"},
                 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":{{bytes.Length}},"digest":"{{layer}}"}]}
                """);
            using var response = await pushed.SendAsync("PUT", $"manifests/{layer.Hex}", manifest, MediaTypes.OciManifest);
            if (response.StatusCode == HttpStatusCode.Created)
                (_acknowledged[Digest.Of(manifest)], _acknowledged[layer]) = (true, false);
        }
        catch (Exception noticed) when (noticed is HttpRequestException or IOException or Xunit.Sdk.XunitException)
        {
            // It was not acknowledged.
        }
    }

    private async Task CollectAsync(Random random)
    {
        try
        {
            await Mirror.CollectAsync();
            Interlocked.Increment(ref _collections);
        }
        catch (PeerFailedException busy) when (busy.Message.Contains("another garbage collection", StringComparison.Ordinal))
        {
            await Task.Delay(200, CancellationToken.None);
        }
        // A kill may end a push between the link of its manifest and the check that no collection has deleted the content. That push was
        // not acknowledged. Do what the collection asks for: delete the manifest.
        catch (PeerFailedException lost) when (LostManifest().Matches(lost.Message) is { Count: > 0 } manifests)
        {
            foreach (Match manifest in manifests)
                await DeleteUnacknowledgedAsync(Digest.Parse(manifest.Groups["digest"].Value));
        }
    }

    private async Task DeleteUnacknowledgedAsync(Digest manifest)
    {
        if (_acknowledged.ContainsKey(manifest))
            _wrong.Enqueue($"{manifest} was acknowledged, and is lost");
        try
        {
            using var response = await new PushedRepository(Mirror, "local/soak").SendAsync("DELETE", $"manifests/{manifest}");
            if (response.StatusCode is not (HttpStatusCode.Accepted or HttpStatusCode.NotFound))
                _wrong.Enqueue($"{manifest} cannot be deleted: {response.StatusCode}");
        }
        catch (HttpRequestException)
        {
            // The server was killed: the next collection names it again.
        }
    }

    [GeneratedRegex("local/soak: the manifest (?<digest>[^ ]+) is linked, and its content is not stored")]
    private static partial Regex LostManifest();

    private async Task KillAsync(Random random)
    {
        await Task.Delay(TimeSpan.FromSeconds(random.Next(4, 9)), CancellationToken.None);
        await Mirror.KillAsync();
        await Mirror.StartAgainAsync();
        _kills++;
    }

    private async Task TroubleAsync(Random random)
    {
        var layer = _images[random.Next(Images)].Layers[0];
        var at = random.Next(1, (int)layer.Size);
        switch (random.Next(5))
        {
            case 0:
                await Hub.Registry.TakeDownAsync();
                await Task.Delay(300, CancellationToken.None);
                await Hub.Registry.BringUpAsync();
                break;
            case 1:
                Hub.Fault(layer.Digest, BlobFault.WrongByteAt(at));
                break;
            case 2:
                Hub.Fault(layer.Digest, BlobFault.ClosedAt(at), times: 3);
                break;
            case 3:
                Hub.Fault(layer.Digest, BlobFault.Refused(503), times: 2);
                break;
            default:
                Hub.Fault(layer.Digest, BlobFault.ShortAt(at));
                break;
        }
        await Task.Delay(200, CancellationToken.None);
    }

    // The bytes of the mirrored blobs in the store.
    private long Stored() => _images.Select(image => image.Layers[0].Digest).Sum(digest =>
        new FileInfo(Path.Combine(Mirror.Root, RegistryLayout.BlobData(digest))) is { Exists: true } file ? file.Length : 0);
}
