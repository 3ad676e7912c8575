using System.Collections.Concurrent;
using System.Net;
using Mirror.PullThrough;

namespace Mirror.Registry;

/// <summary>How a client names the registry whose content it asks for.</summary>
public enum AskedBy
{
    /// <summary>By the name alone: the default upstream.</summary>
    Root,

    /// <summary>By the parameter <c>ns</c>, as containerd does.</summary>
    Namespace,

    /// <summary>By the first part of the repository's name: <c>ghcr.io/owner/app</c>.</summary>
    Prefix,

    /// <summary>A repository that clients push to.</summary>
    Hosted,
}

/// <summary>A client that has sent requests.</summary>
/// <param name="Address">Its address, as trusted proxies report it.</param>
/// <param name="Program">The start of its <c>User-Agent</c>; empty if it sends none.</param>
/// <param name="Upstream">The upstream whose content it asked for; empty for hosted repositories.</param>
/// <param name="Connections">How often it was noted: once for each connection and name, and behind a proxy for each request.</param>
public sealed record SeenClient(
    string Address, string Program, AskedBy By, string Upstream, DateTimeOffset First, DateTimeOffset Last, long Connections);

/// <summary>
/// Which clients sent requests in the last day, and how they named the registry. The record is in memory, within limits. A client that
/// connects directly is noted at the first request of a connection, and when it asks for another upstream. Its other requests cost one
/// comparison.
/// </summary>
public sealed class ClientsSeen(RepositoryResolver repositories, UpstreamSelector upstreams, TimeProvider time)
{
    private const int MaxClients = 5_000;
    private const int MaxProgram = 80;
    private static readonly TimeSpan Life = TimeSpan.FromDays(1);

    private readonly ConcurrentDictionary<(IPAddress Address, string Program, AskedBy By, string Upstream), Times> _all = new();
    private int _count;
    private long _swept;

    /// <summary>Whether there were more clients than the record has room for.</summary>
    public bool IsFull => Volatile.Read(ref _count) >= MaxClients;

    /// <summary>The clients of the last day, the newest first.</summary>
    public IReadOnlyList<SeenClient> List()
    {
        var oldest = (time.GetUtcNow() - Life).UtcTicks;
        return
        [
            .. from entry in _all
               let last = Volatile.Read(ref entry.Value.Last)
               where last >= oldest
               orderby last descending
               select new SeenClient(
                   entry.Key.Address.ToString(), entry.Key.Program, entry.Key.By, entry.Key.Upstream, Date(entry.Value.First), Date(last),
                   Volatile.Read(ref entry.Value.Count)),
        ];
    }

    /// <summary>The upstreams that no client of the last day asked for.</summary>
    public IReadOnlyList<string> NotAsked() =>
        [.. upstreams.All.Select(mirror => mirror.Upstream.Origin.Name).Except(List().Select(client => client.Upstream))];

    /// <summary>Notes the client of an answered request for a repository.</summary>
    /// <param name="noted">What was last noted on this connection; null for nothing.</param>
    /// <returns>What is noted now.</returns>
    internal object? Note(RegistryRequest request, object? noted)
    {
        if (!request.HasRepository || request.Http.Connection.RemoteIpAddress is not { } address)
            return noted;
        var name = request.Repository.Name;
        var origin = repositories.IsHosted(name) ? null : upstreams.Names.Find(name);
        // A proxy has many clients on one connection.
        object now = (object?)origin ?? this;
        if (now == noted && !request.IsForwarded)
            return noted;
        var by = origin is null ? AskedBy.Hosted
            : request.Namespace is not null ? AskedBy.Namespace
            : origin.Prefix.Length > 0 ? AskedBy.Prefix
            : AskedBy.Root;
        var program = request.Http.Request.Headers.UserAgent is [{ } agent, ..] ? agent : "";
        Note((address, program.Length > MaxProgram ? program[..MaxProgram] : program, by, origin?.Name ?? ""));
        return now;
    }

    private void Note((IPAddress, string, AskedBy, string) client)
    {
        var now = time.GetUtcNow().UtcTicks;
        if (!_all.TryGetValue(client, out var times))
        {
            if (IsFull && !Sweep(now))
                return;
            var own = new Times(now);
            times = _all.GetOrAdd(client, own);
            if (times == own)
                Interlocked.Increment(ref _count);
        }
        Volatile.Write(ref times.Last, now);
        Interlocked.Increment(ref times.Count);
    }

    // Forgets who has not come for a day; once a minute at most.
    private bool Sweep(long now)
    {
        var swept = Volatile.Read(ref _swept);
        if (now - swept < TimeSpan.TicksPerMinute || Interlocked.CompareExchange(ref _swept, now, swept) != swept)
            return false;
        foreach (var entry in _all)
            if (now - Volatile.Read(ref entry.Value.Last) > Life.Ticks && _all.TryRemove(entry))
                Interlocked.Decrement(ref _count);
        return !IsFull;
    }

    private static DateTimeOffset Date(long ticks) => new(ticks, TimeSpan.Zero);

    private sealed class Times(long first)
    {
        public readonly long First = first;
        public long Last = first;
        public long Count;
    }
}
