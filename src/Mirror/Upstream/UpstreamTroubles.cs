using System.Collections.Concurrent;

namespace Mirror.Upstream;

/// <summary>Something that went wrong with an upstream, in words.</summary>
public sealed record Trouble(DateTimeOffset Time, string Host, string Reason);

/// <summary>What went wrong with one upstream lately. It is kept in memory, within limits. Thread-safe.</summary>
public sealed class UpstreamTroubles(TimeProvider time)
{
    private const int MaxTroubles = 20;
    // Redirects and token services have hosts of their own.
    private const int MaxHosts = 64;

    private readonly Lock _gate = new();
    private readonly Queue<Trouble> _last = new();
    private readonly ConcurrentDictionary<string, Trouble> _unavailable = new(StringComparer.OrdinalIgnoreCase);
    private readonly ConcurrentDictionary<string, DateTimeOffset> _breakers = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The last troubles, the newest first.</summary>
    public IReadOnlyList<Trouble> Last
    {
        get
        {
            lock (_gate)
                return [.. _last.Reverse()];
        }
    }

    /// <summary>The hosts that gave no answer when they were asked last, since when, and why.</summary>
    public IReadOnlyCollection<Trouble> Unavailable => [.. _unavailable.Values];

    /// <summary>Whether a host gave no answer when it was asked last.</summary>
    public bool IsUnavailable(string host) => _unavailable.ContainsKey(host);

    /// <summary>The hosts whose circuit breaker is open: no request is sent to them until then.</summary>
    public IReadOnlyList<(string Host, DateTimeOffset Until)> OpenBreakers =>
        [.. _breakers.Where(each => each.Value > time.GetUtcNow()).Select(each => (each.Key, each.Value))];

    internal void Add(string host, string reason)
    {
        Note(host, reason);
        if (_unavailable.Count < MaxHosts)
            _unavailable.TryAdd(host, new(time.GetUtcNow(), host, reason));
    }

    internal void Over(string host)
    {
        if (!_unavailable.IsEmpty)
            _unavailable.TryRemove(host, out _);
    }

    internal void Note(string host, string reason)
    {
        var trouble = new Trouble(time.GetUtcNow(), host, reason);
        lock (_gate)
        {
            _last.Enqueue(trouble);
            if (_last.Count > MaxTroubles)
                _last.Dequeue();
        }
    }

    internal void BreakerOpened(string host, TimeSpan length)
    {
        if (_breakers.Count >= MaxHosts)
            _breakers.Clear();
        _breakers[host] = time.GetUtcNow() + length;
    }

    internal void BreakerClosed(string host) => _breakers.TryRemove(host, out _);
}
