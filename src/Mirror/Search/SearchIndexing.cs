using System.Collections.Concurrent;
using System.Data.Common;
using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;

namespace Mirror.Search;

/// <summary>
/// Keeps the index as the store is: every repository at the start, and later those that change. A repository with a tag is in it. No push
/// waits for the database; what could not be written is written when the database is back.
/// </summary>
public sealed partial class SearchIndexing(
    ISearchIndex index, IReferenceStore references, HostedNames hosted, SearchOptions options, TimeProvider time,
    ILogger<SearchIndexing> log) : BackgroundService
{
    // More changes than this are not remembered one by one: then the whole store is read again.
    private const int MaxChanged = 10_000;
    private const int Batch = 200;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<RepositoryName, bool> _changed = new();
    private readonly SemaphoreSlim _signal = new(0, 1);
    private readonly RareLine _failure = new(time);
    private readonly RareLine _length = new(time);
    private bool _isWhole;

    /// <summary>A repository has changed. Returns at once.</summary>
    public void Note(RepositoryName name)
    {
        if (!Wants(name) || _changed.ContainsKey(name))
            return;
        if (_changed.Count < MaxChanged)
            _changed.TryAdd(name, true);
        else
            Volatile.Write(ref _isWhole, false);
        Wake();
    }

    /// <summary>Whether a repository belongs in the index.</summary>
    public bool Wants(RepositoryName name) => options.Mirrored || hosted.Contains(name);

    /// <exception cref="IOException">The tables of the database are of a form that this server does not know.</exception>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await index.PrepareAsync(cancellationToken);
        }
        catch (InvalidDataException unknown)
        {
            throw new IOException($"search.database: {unknown.Message}", unknown);
        }
        catch (DbException failure)
        {
            Failed(failure);
        }
        await base.StartAsync(cancellationToken);
    }

    public override void Dispose()
    {
        base.Dispose();
        _signal.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
            try
            {
                if (!Volatile.Read(ref _isWhole))
                    await ReadAllAsync(stoppingToken);
                foreach (var (name, _) in _changed)
                    if (_changed.TryRemove(name, out _))
                        await WriteAsync(name, stoppingToken);
                if (_changed.IsEmpty && Volatile.Read(ref _isWhole))
                    await _signal.WaitAsync(stoppingToken);
            }
            // A driver fails in many ways. None of them may end the server.
            catch (Exception failure) when (!stoppingToken.IsCancellationRequested)
            {
                Failed(failure);
                await Task.Delay(RetryDelay, time, stoppingToken);
            }
    }

    private async Task ReadAllAsync(CancellationToken cancellationToken)
    {
        await index.PrepareAsync(cancellationToken);
        Volatile.Write(ref _isWhole, true);
        List<RepositoryName> batch = [];
        try
        {
            await foreach (var name in references.ListRepositoriesAsync(cancellationToken))
                if (Wants(name) && await HasTagAsync(name, cancellationToken) is true)
                {
                    batch.Add(name);
                    if (batch.Count == Batch)
                        await AddAsync();
                }
            await AddAsync();
        }
        catch
        {
            Volatile.Write(ref _isWhole, false);
            throw;
        }

        async Task AddAsync()
        {
            TooLong(await index.AddAsync(batch, cancellationToken));
            batch.Clear();
        }
    }

    private async Task WriteAsync(RepositoryName name, CancellationToken cancellationToken)
    {
        try
        {
            var hasTag = await HasTagAsync(name, cancellationToken);
            if (hasTag is true)
                TooLong(await index.AddAsync([name], cancellationToken));
            else if (hasTag is false)
                await index.RemoveAsync(name, cancellationToken);
        }
        catch
        {
            _changed.TryAdd(name, true);
            throw;
        }
    }

    // Null where this process may not read the tags. Then the index keeps what it has.
    private async ValueTask<bool?> HasTagAsync(RepositoryName name, CancellationToken cancellationToken) =>
        (await UnreadableException.SkipAsync(() => references.ListTagsAsync(name, cancellationToken)))?.Count > 0;

    private void Wake()
    {
        try
        {
            if (_signal.CurrentCount == 0)
                _signal.Release();
        }
        // Another push was faster, or the server stops.
        catch (Exception other) when (other is SemaphoreFullException or ObjectDisposedException)
        {
        }
    }

    private void Failed(Exception failure)
    {
        if (_failure.IsDue())
            LogAway(index.Name, failure.Message);
    }

    private void TooLong(IReadOnlyList<RepositoryName> names)
    {
        if (names is [var first, ..] && _length.IsDue())
            LogTooLong(first, index.Name);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the index of search in {Database} cannot be used, and is written when it is back; pushes do not need it: {Reason}")]
    private partial void LogAway(string database, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the name {Name} has no room in the index of search in {Database}; make column name of table repository varchar(255)")]
    private partial void LogTooLong(RepositoryName name, string database);
}
