using System.Collections.Concurrent;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>
/// How many bytes clients have pushed, where <c>hosted.max_size</c>, <c>hosted.max_repository_size</c> or <c>hosted.max_user_size</c>
/// limits them. A blob counts once for each repository that has it, and for the client that pushed it there. This class measures the store
/// once, and then adds the bytes of each push. It measures again before it refuses a push, and every ten minutes, so that deleted content
/// does not count any more. Pushes that run at the same time may together exceed the limit.
/// </summary>
/// <remarks>
/// A client is the name of a user, or else an address. If <c>hosted.max_user_size</c> is set, the store has a note for each blob and
/// manifest that a client has pushed.
/// </remarks>
public sealed class PushQuota(
    HostedOptions options, ISweepStore links, IContentStore content, IReferenceStore references, IDateStore notes, HostedNames hosted,
    TimeProvider time)
{
    private const int MaxCounters = 10_000;

    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan MaxAgeForRefusal = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(30);
    // If content has a note and is not in its repository, it was deleted, or its push has only begun. After this time it was deleted.
    private static readonly TimeSpan NoteOutlivesContent = TimeSpan.FromDays(1);

    private readonly ConcurrentDictionary<RepositoryName, Counter> _repositories = new();
    private readonly ConcurrentDictionary<string, Counter> _clients = new();
    private readonly Counter _all = new();

    /// <summary>
    /// Counts a blob that a push is about to add to a repository. The blob counts no more when the result is disposed without being kept.
    /// </summary>
    public async ValueTask<CountedPush> CountBlobAsync(
        string client, RepositoryName name, Digest digest, long bytes, CancellationToken cancellationToken) =>
        IsOn && !await references.HasBlobAsync(name, digest, cancellationToken)
            ? await CountAsync(client, name, digest, bytes, cancellationToken)
            : new CountedPush();

    /// <summary>Counts a manifest that a push is about to add to a repository, as <see cref="CountBlobAsync"/> does.</summary>
    public async ValueTask<CountedPush> CountManifestAsync(
        string client, RepositoryName name, Digest digest, long bytes, CancellationToken cancellationToken) =>
        IsOn && !(await references.FindManifestAsync(name, digest, cancellationToken)).Linked
            ? await CountAsync(client, name, digest, bytes, cancellationToken)
            : new CountedPush();

    /// <summary>Whether there is room for at least one more byte. Call it before a client sends a blob.</summary>
    /// <returns>Null if there is room.</returns>
    public async ValueTask<QuotaRefusal?> FindRoomAsync(string client, RepositoryName name, CancellationToken cancellationToken) =>
        IsOn ? (await CountAsync(client, name, null, 0, cancellationToken)).Refusal : null;

    private bool IsOn => options is not { MaxSize: null, MaxRepositorySize: null, MaxUserSize: null };

    private async ValueTask<CountedPush> CountAsync(
        string client, RepositoryName name, Digest? digest, long bytes, CancellationToken cancellationToken)
    {
        var push = new CountedPush();
        try
        {
            await CountAsync(push, client, name, bytes, cancellationToken);
            if (options.MaxUserSize is not null && digest is { } pushed)
                push.OnKeep(() => notes.WriteAsync(
                    RegistryLayout.PushedBy(client, name, pushed), time.GetUtcNow(), CancellationToken.None));
            return push;
        }
        catch
        {
            push.Dispose();
            throw;
        }
    }

    private async ValueTask CountAsync(
        CountedPush push, string client, RepositoryName name, long bytes, CancellationToken cancellationToken)
    {
        if (options.MaxRepositorySize is { } ofOne
            && !await TakeAsync(push, Of(_repositories, name), bytes, ofOne, stop => SizeOfAsync(name, stop), cancellationToken))
            push.Refuse($"{name} may have {ofOne} bytes", "hosted.max_repository_size");
        else if (options.MaxUserSize is { } ofUser
            && !await TakeAsync(push, Of(_clients, client), bytes, ofUser, stop => SizeOfPushesAsync(client, stop), cancellationToken))
            push.Refuse($"{client} may push {ofUser} bytes", "hosted.max_user_size");
        else if (options.MaxSize is { } ofAll && !await TakeAsync(push, _all, bytes, ofAll, SizeOfAllAsync, cancellationToken))
            push.Refuse($"all pushed images together may have {ofAll} bytes", "hosted.max_size");
    }

    private static Counter Of<TKey>(ConcurrentDictionary<TKey, Counter> counters, TKey key) where TKey : notnull
    {
        if (counters.Count >= MaxCounters)
            counters.Clear();
        return counters.GetOrAdd(key, _ => new Counter());
    }

    private async ValueTask<bool> TakeAsync(
        CountedPush push, Counter counter, long bytes, long limit, Func<CancellationToken, Task<long>> measure,
        CancellationToken cancellationToken)
    {
        if (counter.MeasuredAt is not { } at)
            await TryMeasureAsync(counter, measure, cancellationToken);
        else if (time.GetElapsedTime(at) > MaxAge)
            _ = MeasureAsync(counter, measure, CancellationToken.None);
        if (counter.TryAdd(push, bytes, limit))
            return true;
        // Content may have been deleted since.
        if (counter.MeasuredAt is { } last && time.GetElapsedTime(last) > MaxAgeForRefusal)
            await TryMeasureAsync(counter, measure, cancellationToken);
        return counter.TryAdd(push, bytes, limit);
    }

    // To measure a large bucket takes long. After MaxWait the push continues without the result.
    private async Task TryMeasureAsync(Counter counter, Func<CancellationToken, Task<long>> measure, CancellationToken cancellationToken)
    {
        try
        {
            await MeasureAsync(counter, measure, CancellationToken.None).WaitAsync(MaxWait, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            // The push counts when the measurement has ended.
        }
    }

    // One measurement at a time. Bytes of pushes that run meanwhile are added to its result. They may count twice, until the next
    // measurement.
    private async Task MeasureAsync(Counter counter, Func<CancellationToken, Task<long>> measure, CancellationToken cancellationToken)
    {
        await counter.Measurements.JoinOrStart(
            0,
            async stop =>
            {
                var started = time.GetTimestamp();
                counter.Begin();
                counter.End(await measure(stop), started);
                return true;
            },
            cancellationToken);
    }

    private async Task<long> SizeOfAllAsync(CancellationToken cancellationToken)
    {
        var bytes = 0L;
        await foreach (var name in references.ListRepositoriesAsync(cancellationToken))
            if (hosted.Contains(name))
                bytes += await SizeOfAsync(name, cancellationToken);
        return bytes;
    }

    private async Task<long> SizeOfAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        var bytes = 0L;
        await foreach (var (digest, _) in links.ListBlobsAsync(name, cancellationToken))
            bytes += await content.SizeAsync(digest, cancellationToken) ?? 0;
        await foreach (var (digest, _) in links.ListManifestsAsync(name, cancellationToken))
            bytes += await content.SizeAsync(digest, cancellationToken) ?? 0;
        return bytes;
    }

    private async Task<long> SizeOfPushesAsync(string client, CancellationToken cancellationToken)
    {
        var bytes = 0L;
        await foreach (var path in notes.ListAsync(RegistryLayout.PushedBy(client), cancellationToken))
            if (RegistryLayout.DatedRepository(path) is { } name && RegistryLayout.DatedContent(path) is { } digest)
            {
                if (await references.HasBlobAsync(name, digest, cancellationToken)
                    || (await references.FindManifestAsync(name, digest, cancellationToken)).Linked)
                    bytes += await content.SizeAsync(digest, cancellationToken) ?? 0;
                else if (await notes.ReadAsync(path, cancellationToken) is { } at && time.GetUtcNow() - at > NoteOutlivesContent)
                    await notes.DeleteAsync(path, cancellationToken);
            }
        return bytes;
    }

    private sealed class Counter
    {
        private readonly Lock _gate = new();
        private long _bytes;
        private long _addedSince;
        private int _measurements;

        public SingleFlight<int, bool> Measurements { get; } = new();

        /// <summary>When the last measurement began; null where there was none.</summary>
        public long? MeasuredAt { get; private set; }

        public bool TryAdd(CountedPush push, long bytes, long limit)
        {
            lock (_gate)
            {
                if (_bytes + bytes > limit || bytes == 0 && _bytes == limit)
                    return false;
                _bytes += bytes;
                _addedSince += bytes;
                var measurements = _measurements;
                push.OnReturn(() => Return(bytes, measurements));
                return true;
            }
        }

        // If a measurement has begun since, its result does not contain these bytes.
        private void Return(long bytes, int measurements)
        {
            lock (_gate)
                if (measurements == _measurements)
                    (_bytes, _addedSince) = (_bytes - bytes, _addedSince - bytes);
        }

        public void Begin()
        {
            lock (_gate)
                (_addedSince, _measurements) = (0, _measurements + 1);
        }

        public void End(long measured, long began)
        {
            lock (_gate)
                (_bytes, MeasuredAt) = (measured + _addedSince, began);
        }
    }
}
