using Mirror.Fleet;
using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Admin;

/// <summary>
/// Keeps <see cref="ImageIndex"/> up to date: what this process changes, within seconds; what other processes change, within the hour. It
/// reads the store in the background, one repository after another.
/// </summary>
public sealed partial class ImageIndexing(
    ImageIndex index, ImageReader reader, ChangedRepositories changed, RequestHistory history, IReferenceStore references,
    CacheUsage shared, UpstreamSelector upstreams, RepositoryResolver repositories, StoreMetrics metrics, TimeProvider time,
    ILogger<ImageIndexing> log)
    : BackgroundService
{
    // At its start the server has more urgent work. The first request for the list of images ends this wait.
    private static readonly TimeSpan FirstAfter = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan ReadAllEvery = TimeSpan.FromHours(1);
    private static readonly TimeSpan MeasureEvery = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan WriteEvery = TimeSpan.FromMinutes(1);

    // No other replica evicts what clients of this one have just pulled.
    private static readonly TimeSpan ShareEvery = TimeSpan.FromSeconds(10);

    // A store that was never read is worth a wait: an empty answer is of no use.
    private static readonly TimeSpan MaxFirstWait = TimeSpan.FromSeconds(5);

    // How many images are written at once.
    private const int Batch = 200;

    private readonly SemaphoreSlim _turn = new(1);
    // One at a time: what another caller has taken, and not yet written, would be missing in the index.
    private readonly SemaphoreSlim _changes = new(1);
    private readonly SemaphoreSlim _pulls = new(1);
    private readonly SemaphoreSlim _tags = new(1);
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ChangeSignal _allRead = new();

    /// <summary>Brings the index up to date for an answer that a person waits for, and waits longer while there is no index yet.</summary>
    /// <inheritdoc cref="CatchUpAsync"/>
    public async ValueTask<bool> CatchUpForAnswerAsync(TimeSpan maxWait, CancellationToken cancellationToken) =>
        await CatchUpAsync(await Task.Run(() => index.Built, cancellationToken) is null ? MaxFirstWait : maxWait, cancellationToken);

    /// <summary>Brings the index up to date with this process, as far as that goes within a time.</summary>
    /// <returns>Whether the index has the whole store; false while it is read for the first time.</returns>
    public ValueTask<bool> CatchUpAsync(TimeSpan maxWait, CancellationToken cancellationToken) => WithinAsync(
        async () =>
        {
            await WaitForAllAsync();
            await ReadChangedAsync(CancellationToken.None);
            await WritePullsAsync(CancellationToken.None);
        },
        maxWait, cancellationToken);

    /// <summary>
    /// Writes to the index what clients of this process have pulled, as far as that goes within a time. This reads nothing from the store,
    /// so an eviction may do it each time.
    /// </summary>
    /// <inheritdoc cref="CatchUpAsync"/>
    public ValueTask<bool> WriteUsesAsync(TimeSpan maxWait, CancellationToken cancellationToken) => WithinAsync(
        async () =>
        {
            await WaitForAllAsync();
            await WriteTagsAsync(CancellationToken.None);
            await WritePullsAsync(CancellationToken.None);
        },
        maxWait, cancellationToken);

    private async Task WaitForAllAsync()
    {
        var allRead = _allRead.Next;
        if (index.Built is null)
            await allRead;
    }

    private async ValueTask<bool> WithinAsync(Func<Task> act, TimeSpan maxWait, CancellationToken cancellationToken)
    {
        _asked.TrySetResult();
        var work = Task.Run(act, CancellationToken.None);
        try
        {
            await work.WaitAsync(maxWait, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            // The answer is as of a moment ago.
        }
        return index.Built is not null;
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        // A server that was never asked for its images, and has served none, leaves no file.
        await TryAsync(() => WritePullsAsync(cancellationToken));
    }

    public override void Dispose()
    {
        base.Dispose();
        _turn.Dispose();
        _changes.Dispose();
        _pulls.Dispose();
        _tags.Dispose();
        index.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.WhenAny(_asked.Task, Task.Delay(FirstAfter, time, stoppingToken));
        var (allRead, measured) = (0L, 0L);
        var isRead = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            if (!isRead || time.GetElapsedTime(allRead) > ReadAllEvery || changed.TakeLost())
            {
                isRead = await TryAsync(() => ReadAllAsync(stoppingToken));
                allRead = time.GetTimestamp();
            }
            await TryAsync(() => ReadChangedAsync(stoppingToken));
            await TryAsync(() => WritePullsAsync(stoppingToken));
            if (measured == 0 || time.GetElapsedTime(measured) > MeasureEvery)
            {
                await TryAsync(() => Task.Run(Measure, stoppingToken));
                measured = time.GetTimestamp();
            }
            for (var waited = TimeSpan.Zero; waited < WriteEvery; waited += ShareEvery)
            {
                await Task.Delay(ShareEvery, time, stoppingToken);
                if (shared.IsShared)
                    await TryAsync(() => WritePullsAsync(stoppingToken));
            }
        }
    }

    private void Measure()
    {
        Dictionary<string, long> bytes = [];
        foreach (var upstream in upstreams.All)
            bytes[upstream.Upstream.Origin.Label] = 0;
        foreach (var (name, size) in index.BytesByName())
            if (repositories.IsMirrored(name) && upstreams.Find(name) is { } mirror)
                bytes[mirror.Upstream.Origin.Label] += size;
        foreach (var (upstream, size) in bytes)
            metrics.Images(upstream, size);
    }

    private async Task ReadAllAsync(CancellationToken stop)
    {
        var began = index.BeginReading();
        await foreach (var name in references.ListRepositoriesAsync(stop))
            await ReadAsync(name, stop);
        index.EndReading(null, began);
        index.SetBuilt(time.GetUtcNow());
        index.ForgetHistory(time.GetUtcNow());
        index.NoteSize(time.GetUtcNow(), index.Totals().Bytes);
        _allRead.Raise();
    }

    private async Task ReadChangedAsync(CancellationToken stop)
    {
        await _changes.WaitAsync(stop);
        try
        {
            await WriteTagsAsync(stop);
            while (changed.TryTake(out var name))
                try
                {
                    await ReadAsync(name, stop);
                }
                catch
                {
                    changed.Note(name);
                    throw;
                }
        }
        finally
        {
            _changes.Release();
        }
    }

    private async Task ReadAsync(RepositoryName name, CancellationToken stop)
    {
        await _turn.WaitAsync(stop);
        try
        {
            var (seen, began) = (index.BeginReading(), time.GetUtcNow());
            await foreach (var images in reader.ReadAsync(name, stop).Chunk(Batch).WithCancellation(stop))
            {
                index.Put(images, seen);
                index.NoteTags(images.Where(image => image.Reference.IsTag(out _, out _))
                    .Select(image => (image.Name, image.Reference.ToString(), image.Digest, began)));
            }
            index.EndReading(name, seen);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task WriteTagsAsync(CancellationToken stop)
    {
        await _tags.WaitAsync(stop);
        try
        {
            foreach (var tags in changed.TakeTags().Chunk(Batch))
                index.NoteTags(tags);
        }
        finally
        {
            _tags.Release();
        }
    }

    private async Task WritePullsAsync(CancellationToken stop)
    {
        await _pulls.WaitAsync(stop);
        try
        {
            foreach (var pullers in history.TakePullers().Chunk(1000))
                index.NotePullers(pullers);
            foreach (var pulls in history.TakePulls().Chunk(1000))
            {
                stop.ThrowIfCancellationRequested();
                await shared.AddPullsAsync(pulls);
                index.Add(pulls);
            }
        }
        finally
        {
            _pulls.Release();
        }
    }

    private async Task<bool> TryAsync(Func<Task> work)
    {
        try
        {
            await work();
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        // The store is away, the disk is full, or the index cannot be used: serving goes on, and the next turn tries again.
        catch (Exception failure) when (ImageIndex.IsFailure(failure))
        {
            LogFailed(failure.Reason);
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the index of the images is not up to date: {Reason}. Clients are served all the same; what images and usage show is older")]
    private partial void LogFailed(string reason);
}
