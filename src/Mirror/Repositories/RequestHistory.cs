using System.Collections.Concurrent;
using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// How often clients pulled each reference, and what the server did for requests that the store alone could not answer. It is in memory,
/// within limits, and may be lost.
/// </summary>
public sealed class RequestHistory(TimeProvider time)
{
    /// <summary>How many references are known; while there are so many, requests for others leave no trace.</summary>
    private const int MaxReferences = 100_000;

    /// <summary>How many events are kept of all references together. Each has a few hundred bytes, and 3 KB at most.</summary>
    private const int MaxEvents = 5_000;

    private readonly ConcurrentDictionary<(RepositoryName, Reference), ReferenceHistory> _all = new();
    private readonly ConcurrentQueue<ReferenceHistory> _events = new();
    private int _count;
    private int _eventCount;

    /// <summary>A client got a manifest, or its headers only.</summary>
    /// <param name="client">The user's name, or the client's address; null where neither is known.</param>
    /// <remarks>On the way of every hit: for a known reference one look-up and three writes, no lock and no allocation.</remarks>
    public void Served(RepositoryName name, in Reference reference, bool isPull, object? client)
    {
        if (_all.TryGetValue((name, reference), out var known) || (known = Add(name, reference)) is not null)
            known.Served(isPull, time.GetUtcNow().UtcTicks, client);
    }

    /// <summary>Keeps the record of a request that the store alone could not answer.</summary>
    public void Keep(RepositoryName name, in Reference reference, RequestEvent happened)
    {
        if (!_all.TryGetValue((name, reference), out var known) && (known = Add(name, reference)) is null || !known.Keep(happened))
            return;
        _events.Enqueue(known);
        if (Interlocked.Increment(ref _eventCount) > MaxEvents && _events.TryDequeue(out var oldest))
        {
            Interlocked.Decrement(ref _eventCount);
            oldest.DropOldest();
        }
    }

    /// <summary>The record of a reference; null if there is none.</summary>
    public ReferenceHistory? Find(RepositoryName name, Reference reference) => _all.GetValueOrDefault((name, reference));

    /// <summary>The records of a repository.</summary>
    public IEnumerable<(Reference Reference, ReferenceHistory History)> Of(RepositoryName name) =>
        from entry in _all
        where entry.Key.Item1 == name
        select (entry.Key.Item2, entry.Value);

    /// <summary>
    /// Takes the clients that pulled since the last call. If many clients pulled one reference, some may be missing. Call it before
    /// <see cref="TakePulls"/>, which forgets references.
    /// </summary>
    public IEnumerable<(RepositoryName Name, Reference Reference, string Client, DateTimeOffset Last)> TakePullers()
    {
        foreach (var (key, history) in _all)
            foreach (var (client, last) in history.TakePullers())
                yield return (key.Item1, key.Item2, client, last);
    }

    /// <summary>Takes the pulls since the last call, and forgets references that had none and keep no event.</summary>
    public IEnumerable<(RepositoryName Name, Reference Reference, long Pulls, DateTimeOffset Last)> TakePulls()
    {
        foreach (var (key, history) in _all)
        {
            var pulls = history.TakePulls();
            if (pulls > 0)
                yield return (key.Item1, key.Item2, pulls, history.LastUsed!.Value);
            // If a request found the entry just before it was removed, its pull is not counted: one pull of an image that had none for a
            // while.
            else if (history.IsIdle && _all.TryRemove(new(key, history)))
                Interlocked.Decrement(ref _count);
        }
    }

    private ReferenceHistory? Add(RepositoryName name, in Reference reference)
    {
        if (Volatile.Read(ref _count) >= MaxReferences)
            return null;
        var own = new ReferenceHistory();
        var added = _all.GetOrAdd((name, reference), own);
        if (added == own)
            Interlocked.Increment(ref _count);
        return added;
    }
}

/// <summary>What is known of the requests for one reference.</summary>
public sealed class ReferenceHistory
{
    private const int MaxEvents = 8;
    private const int MaxPullers = 8;

    private readonly Lock _gate = new();
    private (object? Client, long Ticks)[]? _pullers;
    private Queue<RequestEvent>? _events;
    private long _served;
    private long _taken;
    private long _looks;
    private long _lastUsed;
    private long _lastLook;

    /// <summary>How many clients got the content, since this process knows the reference.</summary>
    public long Pulls => Volatile.Read(ref _served);

    /// <summary>How many clients asked only for its headers.</summary>
    public long Looks => Volatile.Read(ref _looks);

    /// <summary>When a client last got the content; null where none did.</summary>
    public DateTimeOffset? LastUsed => Time(ref _lastUsed);

    /// <summary>When a client last asked for the headers; null where none did.</summary>
    public DateTimeOffset? LastLook => Time(ref _lastLook);

    /// <summary>The last requests that the store alone could not answer, the oldest first.</summary>
    public IReadOnlyList<RequestEvent> Events
    {
        get
        {
            lock (_gate)
                return _events is null ? [] : [.. _events];
        }
    }

    internal bool IsIdle
    {
        get
        {
            lock (_gate)
                return _events is null or { Count: 0 };
        }
    }

    internal void Served(bool isPull, long ticks, object? client)
    {
        if (!isPull)
        {
            Volatile.Write(ref _lastLook, ticks);
            Interlocked.Increment(ref _looks);
            return;
        }
        Volatile.Write(ref _lastUsed, ticks);
        Interlocked.Increment(ref _served);
        // Each client has a fixed place, so that a client that pulls all the time does not displace others. If two requests write at once,
        // their times may be mixed.
        if (client is not null)
            (_pullers ??= new (object?, long)[MaxPullers])[client.GetHashCode() & (MaxPullers - 1)] = (client, ticks);
    }

    /// <summary>The clients that pulled since the last call, as far as they have found a place. One caller at a time.</summary>
    internal IEnumerable<(string Client, DateTimeOffset Last)> TakePullers()
    {
        for (var i = 0; i < _pullers?.Length; i++)
        {
            var (client, ticks) = _pullers[i];
            if (client is null)
                continue;
            _pullers[i] = default;
            yield return (client.ToString()!, new DateTimeOffset(ticks, TimeSpan.Zero));
        }
    }

    /// <summary>The pulls since the last call. One caller at a time.</summary>
    internal long TakePulls()
    {
        var pulls = Pulls;
        return pulls - Interlocked.Exchange(ref _taken, pulls);
    }

    /// <summary>Keeps an event; false where the oldest went for it.</summary>
    internal bool Keep(RequestEvent happened)
    {
        lock (_gate)
        {
            _events ??= new(MaxEvents);
            var isFull = _events.Count == MaxEvents;
            if (isFull)
                _events.Dequeue();
            _events.Enqueue(happened);
            return !isFull;
        }
    }

    internal void DropOldest()
    {
        lock (_gate)
            _events?.TryDequeue(out _);
    }

    private static DateTimeOffset? Time(ref long ticks) =>
        Volatile.Read(ref ticks) is > 0 and var known ? new DateTimeOffset(known, TimeSpan.Zero) : null;
}

/// <summary>A request that the store alone could not answer.</summary>
/// <param name="Asked">What the client asked, such as <c>GET manifest</c>.</param>
/// <param name="Why">Why upstream was asked, in words.</param>
/// <param name="Outcome">How the request ended, in words.</param>
/// <param name="Upstream">The requests to upstream that it caused. It may grow while a download goes on.</param>
public sealed record RequestEvent(
    DateTimeOffset Time, TimeSpan Took, string Asked, string Why, string Outcome, Func<IReadOnlyList<string>> Upstream);
