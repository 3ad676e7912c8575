using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Each flush, each write, and each rename or link of a request fails in its turn, and some time later the power. What was acknowledged is
/// there afterwards, whether by the attempt that met the failure or by the next one.
/// </summary>
public sealed class DiskFaultTests : MirrorOfHub
{
    private const int InputOutputError = 5, NoSpaceLeft = 28, QuotaExceeded = 122;
    private const int Size = 100_000;

    private static readonly (DiskCall Kind, int Error)[] Faults = Figures.Full
        ? [.. Enum.GetValues<DiskCall>().Where(kind => kind != DiskCall.Read)
            .SelectMany(kind => new[] { (kind, InputOutputError), (kind, NoSpaceLeft), (kind, QuotaExceeded) })]
        : [(DiskCall.Flush, InputOutputError), (DiskCall.Write, NoSpaceLeft), (DiskCall.Name, InputOutputError)];

    // A sample lets every second call fail.
    private static readonly int Step = Figures.Count(2, 1);

    /// <summary>A request of a client: what must be there before, the request itself, and what holds once it is acknowledged.</summary>
    private sealed record Change(
        Func<PushedRepository, Task> Prepare, Func<PushedRepository, Task<HttpStatusCode>> Make, Func<PushedRepository, Task> Check);

    [Theory]
    [InlineData("blob in one request")]
    [InlineData("blob in chunks")]
    [InlineData("mounted blob")]
    [InlineData("manifest with a tag")]
    [InlineData("manifest with a subject")]
    [InlineData("tag that moves")]
    [InlineData("deleted tag")]
    [InlineData("deleted manifest")]
    [InlineData("deleted blob")]
    public async Task What_is_acknowledged_survives_a_power_cut_whichever_call_failed(string what)
    {
        DiskFaults.Availability.OrSkip();
        await using var volume = await LoopVolume.MountAsync(64, 12_000, "commit=600");
        using var faults = new DiskFaults(volume.Path);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Root = Path.Combine(volume.Path, "root"), Faults = faults });
        List<(string Name, string Why, Change Change)> acknowledged = [];
        var (calls, cuts, refused) = (0, 0, 0);
        foreach (var (kind, error) in Faults)
            for (var at = 1; ; at += Step)
            {
                var change = ChangeOf(what, calls++);
                var repository = new PushedRepository(mirror, $"r{calls}/app");
                await change.Prepare(repository);
                faults.Fail(kind, at, error);
                var status = await change.Make(repository);
                faults.Stop();
                if (faults.Failed is not { } failed)
                    break;
                var why = $"{what}, {kind} {at}, error {error}: {failed}";
                if (!IsDone(status))
                {
                    refused++;
                    Assert.True(
                        status is HttpStatusCode.ServiceUnavailable or HttpStatusCode.InsufficientStorage,
                        $"{why}: {status}\n{string.Join('\n', mirror.Log.TakeLast(5))}");
                    status = await change.Make(repository);
                    Assert.True(IsDone(status), $"{why}: then {status}\n{string.Join('\n', mirror.Log.TakeLast(5))}");
                }
                acknowledged.Add((repository.Name, why, change));
                if (Figures.Full)
                    await CutAsync();
            }
        await CutAsync();
        Figures.Report(
            $"{what}: {calls - Faults.Length} failures of a call, {refused} refused, 0 acknowledged and lost in {cuts} power cuts");

        async Task CutAsync()
        {
            cuts++;
            mirror.StandStill();
            await using var left = await volume.AfterPowerCutAsync();
            mirror.GoOn();
            await using var again = await MirrorProcess.StartAsync(new MirrorSettings { Root = Path.Combine(left.Path, "root") });
            foreach (var (name, why, change) in acknowledged)
                try
                {
                    await change.Check(new PushedRepository(again, name));
                }
                catch (Xunit.Sdk.XunitException lost)
                {
                    Assert.Fail($"{why}: {lost.Message}");
                }
            var (code, output) = await again.RunAsync("verify");
            Assert.True(code == 0, output);
            acknowledged.Clear();
        }
    }

    [Fact]
    public async Task A_pull_is_right_whichever_call_failed_and_nothing_wrong_is_stored()
    {
        DiskFaults.Availability.OrSkip();
        await using var volume = await LoopVolume.MountAsync(64, 12_000, "commit=600");
        using var faults = new DiskFaults(volume.Path);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(volume.Path, "root"), Faults = faults });
        Hub.PullLimit = null;
        var pulls = 0;
        foreach (var (kind, error) in Faults)
            for (var at = 1; ; at += Step)
            {
                var tag = $"t{++pulls}";
                var image = Hub.AddImage($"library/r{pulls}", tag, HubBlob.Seeded(pulls, Size));
                faults.Fail(kind, at, error);
                await PullAsync(mirror, pulls, tag, image);
                await Until.TrueAsync(
                    async () => faults.Failed is not null || await IsHitAsync(mirror, pulls, image), () => string.Join('\n', mirror.Log));
                faults.Stop();
                if (faults.Failed is null)
                    break;
                await PullAsync(mirror, pulls, tag, image);
                await mirror.UntilStoredAsync(BlobPath(image.Layers[0].Digest, $"library/r{pulls}"));
                if (Figures.Full)
                    await CutAsync();
            }
        await CutAsync();
        Figures.Report($"pull: {pulls - Faults.Length} failures of a call: every pull right, nothing wrong under a final name");

        async Task CutAsync()
        {
            mirror.StandStill();
            await using var left = await volume.AfterPowerCutAsync();
            mirror.GoOn();
            await using var again = await MirrorProcess.StartAsync(
                new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(left.Path, "root") });
            var (code, output) = await again.RunAsync("verify");
            Assert.True(code == 0, output);
        }
    }

    [Fact]
    public async Task A_push_whose_flush_failed_ends_also_while_the_clock_is_behind_the_disks()
    {
        DiskFaults.Availability.OrSkip();
        using var clock = new ShiftedClock();
        using var root = new TempFolder();
        using var faults = new DiskFaults(root.Path);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Root = root.Path, Faults = faults, Environment = clock.Environment });
        // From here on a new file is a day in the future.
        clock.Set(-1);
        for (var at = 1; ; at++)
        {
            var repository = new PushedRepository(mirror, $"r{at}/app");
            var blob = Encoding.UTF8.GetBytes($"blob {at}");
            faults.Fail(DiskCall.Flush, at, InputOutputError);
            var status = await StatusAsync(repository, "POST", $"blobs/uploads/?digest={Digest.Of(blob)}", blob);
            faults.Stop();
            if (faults.Failed is not { } failed)
                break;
            Assert.True(IsDone(status) || status == HttpStatusCode.ServiceUnavailable, $"{failed}: {status}");
            if (!IsDone(status))
                Assert.False(File.Exists(Path.Combine(root.Path, RegistryLayout.BlobData(Digest.Of(blob)))), failed);
            await repository.PushAsync(blob);
        }
    }

    [Theory]
    [InlineData("blob in one request")]
    [InlineData("blob in chunks")]
    public async Task A_stored_blob_is_acknowledged_although_the_folder_of_its_upload_cannot_be_removed(string what)
    {
        const int inUse = 16;
        DiskFaults.Availability.OrSkip();
        using var root = new TempFolder();
        using var faults = new DiskFaults(root.Path);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Root = root.Path, Faults = faults });
        var repository = new PushedRepository(mirror, "a/b");
        var change = ChangeOf(what, 1);
        faults.Fail(DiskCall.RemoveFolder, 0, inUse);
        Assert.Equal(HttpStatusCode.Created, await change.Make(repository));
        Assert.NotNull(faults.Failed);
        await change.Check(repository);

        // A refused upload gets its own error.
        using var wrong = await repository.SendAsync("POST", $"blobs/uploads/?digest={Digest.Of("other"u8)}", [1]);
        await PushedRepository.AssertErrorAsync(wrong, 400, "DIGEST_INVALID");
    }

    [Fact]
    public async Task Events_of_pushes_survive_a_power_cut_also_after_a_failed_flush()
    {
        DiskFaults.Availability.OrSkip();
        await using var volume = await LoopVolume.MountAsync(64, 4000, "commit=600");
        var queue = Path.Combine(volume.Path, "root", "mirror", "notifications", "ci");
        Directory.CreateDirectory(Path.Combine(volume.Path, "root"));
        // Only the flushes of the queue fail.
        using var faults = new DiskFaults(queue);
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Root = Path.Combine(volume.Path, "root"),
            Faults = faults,
            // There is no receiver, so every event stays in the queue.
            More = $"notifications: {{endpoints: [{{name: ci, url: 'http://127.0.0.1:{Ports.Free()}/', backoff: 1h, threshold: 1}}]}}\n",
        });
        var repository = new PushedRepository(mirror, "a/b");
        var first = await repository.PushAsync("first"u8.ToArray());
        Assert.Contains(first.ToString(), await EventsAfterCutAsync(), StringComparison.Ordinal);

        // A request never fails because of an event. The next event goes to another file: this one's next flush would lie.
        faults.Fail(DiskCall.Flush, 1, InputOutputError);
        await repository.PushAsync("second"u8.ToArray());
        faults.Stop();
        Assert.NotNull(faults.Failed);
        await mirror.UntilLoggedAsync(line => line.Contains("cannot be flushed", StringComparison.Ordinal));
        var third = await repository.PushAsync("third"u8.ToArray());
        var events = await EventsAfterCutAsync();
        Assert.Contains(first.ToString(), events, StringComparison.Ordinal);
        Assert.Contains(third.ToString(), events, StringComparison.Ordinal);

        async Task<string> EventsAfterCutAsync()
        {
            mirror.StandStill();
            await using var left = await volume.AfterPowerCutAsync();
            mirror.GoOn();
            var folder = Path.Combine(left.Path, Path.GetRelativePath(volume.Path, queue));
            return string.Concat(Directory.GetFiles(folder, "*.events", SearchOption.AllDirectories).Order().Select(File.ReadAllText));
        }
    }

    private static bool IsDone(HttpStatusCode status) =>
        status is HttpStatusCode.Created or HttpStatusCode.Accepted or HttpStatusCode.NotFound;

    private static Change ChangeOf(string what, int seed)
    {
        var bytes = HubBlob.Seeded(seed, Size).Slice(0, Size);
        var config = Encoding.UTF8.GetBytes($"config {seed}");
        var (blob, manifest) = (Digest.Of(bytes), PushedRepository.Manifest(Digest.Of(config)));
        var other = PushedRepository.Manifest(Digest.Of(config), more: "\"annotations\":{\"a\":\"b\"}");
        var referrer = PushedRepository.Manifest(Digest.Of(config), subject: Digest.Of(manifest));
        return what switch
        {
            "blob in one request" => new(
                _ => Task.CompletedTask, r => StatusAsync(r, "POST", $"blobs/uploads/?digest={blob}", bytes), HasBlobAsync),
            "blob in chunks" => new(_ => Task.CompletedTask, ChunksAsync, HasBlobAsync),
            "mounted blob" => new(
                r => new PushedRepository(r.Mirror, $"{r.Name}/other").PushAsync(bytes),
                r => StatusAsync(r, "POST", $"blobs/uploads/?mount={blob}&from={r.Name}/other", []),
                HasBlobAsync),
            "manifest with a tag" => new(PushConfigAsync, r => PutAsync(r, "v1", manifest), r => HasManifestAsync(r, "v1", manifest)),
            "manifest with a subject" => new(
                PushConfigAsync,
                r => PutAsync(r, "v1", referrer),
                async r =>
                {
                    await HasManifestAsync(r, "v1", referrer);
                    var referrers = await r.TextAsync($"referrers/{Digest.Of(manifest)}");
                    Assert.Contains(Digest.Of(referrer).ToString(), referrers, StringComparison.Ordinal);
                }),
            "tag that moves" => new(
                async r =>
                {
                    await PushConfigAsync(r);
                    await PushedAsync(r, "v1", manifest);
                    await PushedAsync(r, "v2", other);
                },
                r => PutAsync(r, "v1", other),
                r => HasManifestAsync(r, "v1", other)),
            "deleted tag" => new(PushTaggedAsync, r => StatusAsync(r, "DELETE", "manifests/v1"), r => IsGoneAsync(r, "manifests/v1")),
            "deleted manifest" => new(
                PushTaggedAsync,
                r => StatusAsync(r, "DELETE", $"manifests/{Digest.Of(manifest)}"),
                async r =>
                {
                    await IsGoneAsync(r, $"manifests/{Digest.Of(manifest)}");
                    await IsGoneAsync(r, "manifests/v1");
                }),
            _ => new(r => r.PushAsync(bytes), r => StatusAsync(r, "DELETE", $"blobs/{blob}"), r => IsGoneAsync(r, $"blobs/{blob}")),
        };

        Task PushConfigAsync(PushedRepository repository) => repository.PushAsync(config);

        async Task PushTaggedAsync(PushedRepository repository)
        {
            await PushConfigAsync(repository);
            await PushedAsync(repository, "v1", manifest);
        }

        async Task<HttpStatusCode> ChunksAsync(PushedRepository repository)
        {
            using var begun = await repository.SendAsync("POST", "blobs/uploads/");
            if (begun.StatusCode != HttpStatusCode.Accepted)
                return begun.StatusCode;
            var location = PushedRepository.Location(begun);
            using var patched = await repository.SendAsync("PATCH", location, bytes);
            return patched.StatusCode == HttpStatusCode.Accepted
                ? await StatusAsync(repository, "PUT", $"{location}?digest={blob}", [])
                : patched.StatusCode;
        }

        async Task HasBlobAsync(PushedRepository repository) => Assert.Equal(blob, Digest.Of(await repository.BytesAsync($"blobs/{blob}")));
    }

    private static async Task<HttpStatusCode> StatusAsync(PushedRepository repository, string method, string path, byte[]? body = null)
    {
        using var response = await repository.SendAsync(method, path, body);
        return response.StatusCode;
    }

    private static async Task<HttpStatusCode> PutAsync(PushedRepository repository, string tag, byte[] manifest)
    {
        using var put = await repository.SendAsync("PUT", $"manifests/{tag}", manifest, PushedRepository.OciManifest);
        return put.StatusCode;
    }

    private static async Task PushedAsync(PushedRepository repository, string tag, byte[] manifest) =>
        Assert.Equal(HttpStatusCode.Created, await PutAsync(repository, tag, manifest));

    private static async Task HasManifestAsync(PushedRepository repository, string tag, byte[] manifest)
    {
        Assert.Equal(manifest, await repository.BytesAsync($"manifests/{tag}"));
        Assert.Equal(manifest, await repository.BytesAsync($"manifests/{Digest.Of(manifest)}"));
    }

    private static async Task IsGoneAsync(PushedRepository repository, string path) =>
        Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("GET", path));

    private static async Task<bool> IsHitAsync(MirrorProcess mirror, int number, HubImage image)
    {
        using var response = await mirror.HeadAsync(BlobPath(image.Layers[0].Digest, $"library/r{number}"));
        return CacheAnswer.Of(response) == CacheAnswer.Hit;
    }

    private static async Task PullAsync(MirrorProcess mirror, int number, string tag, HubImage image)
    {
        var name = $"library/r{number}";
        using (var manifest = await mirror.GetAsync(ManifestPath(tag, name)))
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        using var response = await mirror.GetAsync(BlobPath(image.Layers[0].Digest, name));
        Assert.Equal(image.Layers[0].Digest, await DigestOfAsync(response));
    }
}
