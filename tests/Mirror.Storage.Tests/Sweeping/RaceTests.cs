using System.Diagnostics;
using System.Text;
using Mirror.Storage.GarbageCollection;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>
/// Pushes beside sweeps that follow each other without a pause and without a grace: an acknowledged image is always whole.
/// </summary>
public abstract class RaceTests : IAsyncLifetime
{
    private const int SharedLayers = 12;

    private static readonly TimeSpan MinTime = TimeSpan.FromSeconds(4);

    // A test in which no sweep deletes anything proves nothing, so it goes on until one does.
    // Only a sweep that never deletes takes so long.
    private static readonly TimeSpan MaxTime = TimeSpan.FromMinutes(5);

    private readonly SemaphoreSlim _ended = new(0);
    private SweptStore _store = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _store = await CreateAsync();

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _store?.Dispose();
        _ended.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>How many clients push at once.</summary>
    private protected virtual int Pushers => 8;

    /// <summary>
    /// Whether a push takes longer than several sweeps. Without a grace each sweep deletes what an unfinished push has stored before it, so
    /// sweeps without a pause would refuse every push. With this, a sweep begins when one whole push has fitted in since the sweep before.
    /// </summary>
    private protected virtual bool ArePushesSlow => false;

    /// <summary>Which of the two cases is run every time; null is both.</summary>
    private protected virtual bool? Sample => null;

    private int MinSweeps => ArePushesSlow ? 10 : 1;

    private protected abstract Task<SweptStore> CreateAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task No_acknowledged_image_ever_misses_a_blob(bool deleteUntagged)
    {
        if ((Sample ?? deleteUntagged) != deleteUntagged)
            LongTests.OrSkip();
        using var enough = new CancellationTokenSource();
        var sweeps = Task.Run(async () =>
        {
            var (count, freed, started) = (0, 0, Stopwatch.GetTimestamp());
            for (; Stopwatch.GetElapsedTime(started) is var time
                && (time < MinTime || count < MinSweeps || freed == 0 && time < MaxTime); count++)
            {
                freed += (await _store.SweepAsync(Options(deleteUntagged))).Blobs;
                if (ArePushesSlow)
                    await OnePushAsync();
            }
            await enough.CancelAsync();
            return (count, freed);
        }, Stop);

        var pushers = Enumerable.Range(0, Pushers).Select(pusher => Task.Run(() => PushAsync(pusher, enough.Token), Stop)).ToList();
        var outcomes = await Task.WhenAll(pushers);
        var (count, freed) = await sweeps;

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{outcomes.Sum(outcome => outcome.Acknowledged)} acknowledged, {outcomes.Sum(outcome => outcome.Refused)} refused, "
            + $"{count} sweeps, {freed} blobs freed");
        Assert.True(outcomes.Sum(outcome => outcome.Acknowledged) > 0);
        Assert.True(freed > 0);
        await _store.SweepAsync(Options(deleteUntagged));
        foreach (var (name, image, blobs) in outcomes.SelectMany(outcome => outcome.Standing))
            await AssertWholeAsync(name, image, blobs);
    }

    // A sweep may come to a blob before its push has linked the first one.
    private static SweepOptions Options(bool deleteUntagged) =>
        new() { Grace = TimeSpan.Zero, DeleteUntagged = deleteUntagged, IsWithoutRepositories = true };

    // All others may have begun before the sweep, or during it.
    private async Task OnePushAsync()
    {
        while (_ended.Wait(0))
        {
        }
        for (var ended = 0; ended <= Pushers; ended++)
            Assert.True(await _ended.WaitAsync(MaxTime, Stop), "No push ends.");
    }

    // Pushes images that share layers, checks each acknowledged one, and deletes most of them.
    private async Task<PushOutcome> PushAsync(int pusher, CancellationToken enough)
    {
        var outcome = new PushOutcome();
        var random = new Random(pusher);
        var name = RepositoryName.Parse($"local/app{pusher % 3}");
        for (var i = 0; !enough.IsCancellationRequested; i++, _ended.Release())
        {
            var tag = $"{pusher}-{i}";
            List<Digest> blobs = [];
            foreach (var layer in Enumerable.Range(0, 4).Select(_ => random.Next(SharedLayers)).Distinct())
                blobs.Add(await LayerAsync(name, $"layer {layer}"));
            blobs.Add(await LayerAsync(name, $"config {tag}"));
            if (await ImageAsync(name, tag, blobs) is not { } image)
            {
                outcome.Refused++;
                continue;
            }
            outcome.Acknowledged++;
            await AssertWholeAsync(name, image, blobs);
            if (i % 7 == 0)
            {
                outcome.Standing.Add((name, image, blobs));
                continue;
            }
            await _store.References.DeleteTagAsync(name, tag, Stop);
            await _store.References.UnlinkManifestAsync(name, image, Stop);
        }
        return outcome;
    }

    // Like a client, sends a layer only where the registry does not have it.
    private async Task<Digest> LayerAsync(RepositoryName name, string text)
    {
        var digest = Digest.Of(Encoding.UTF8.GetBytes(text));
        var isThere = await _store.Content.TouchAsync(digest, Stop) && await _store.References.TouchBlobAsync(name, digest, Stop);
        return isThere ? digest : await _store.BlobAsync(name, text);
    }

    private async Task<Digest?> ImageAsync(RepositoryName name, string tag, List<Digest> blobs)
    {
        if (await _store.PushProtection.TouchAllAsync(name, blobs, [], Stop) is not null)
            return null;
        var image = await _store.ManifestAsync(name, null, SweptStore.Image(blobs[^1], [.. blobs[..^1]]));
        if (await _store.PushProtection.TouchAllAsync(name, blobs, [image], Stop) is not null)
            return null;
        await _store.References.SetTagAsync(name, tag, image, Stop);
        return await _store.PushProtection.TouchAllAsync(name, blobs, [image], Stop) is null ? image : null;
    }

    private async Task AssertWholeAsync(RepositoryName name, Digest image, List<Digest> blobs)
    {
        Assert.True((await _store.References.FindManifestAsync(name, image, Stop)).Linked, $"{image} is not linked");
        foreach (var digest in blobs.Append(image))
        {
            await using var content = await _store.Content.OpenAsync(digest, Stop);
            Assert.True(content is not null, $"{digest} is gone");
        }
        foreach (var digest in blobs)
            Assert.True(await _store.References.HasBlobAsync(name, digest, Stop), $"{digest} is not linked");
    }

    private sealed class PushOutcome
    {
        public int Acknowledged { get; set; }

        public int Refused { get; set; }

        public List<(RepositoryName Name, Digest Image, List<Digest> Blobs)> Standing { get; } = [];
    }
}
