using System.Diagnostics;
using Microsoft.Extensions.Caching.Distributed;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Telemetry;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Mirror.Fleet;

/// <summary>
/// Time limits and a circuit breaker around <see cref="RedisClient"/>. A Redis that is gone, hangs, is full or read-only costs little time,
/// and no request fails for it: no method here throws. Null or false means that Redis gave no answer.
/// </summary>
public sealed partial class RedisGuard
{
    private static readonly TimeSpan MinTimeout = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MaxTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LeaseTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstBreak = TimeSpan.FromSeconds(1);

    private readonly RedisClient _client;
    private readonly FleetMetrics _metrics;
    private readonly ILogger _log;
    private readonly RareLine _away;
    private readonly ResiliencePipeline _facts;
    private readonly ResiliencePipeline _leases;

    public RedisGuard(RedisClient client, RedisOptions options, FleetMetrics metrics, TimeProvider time, ILogger<RedisGuard> log)
    {
        (_client, _metrics, _log, _away) = (client, metrics, log, new RareLine(time));
        _facts = Build("shared facts", TimeSpan.FromTicks(Math.Clamp(options.CallTimeout.Ticks, MinTimeout.Ticks, MaxTimeout.Ticks)), time);
        // Lease calls get a longer timeout: without the lease we would download the blob a second time.
        _leases = Build("download leases", LeaseTimeout, time);
    }

    /// <summary>The value of a key; null where there is none.</summary>
    public Task<byte[]?> GetAsync(string key) => AskAsync(_facts, "Get", stop => _client.GetAsync(key, stop));

    /// <summary>Writes a value that Redis deletes after <paramref name="life"/>.</summary>
    public Task SetAsync(string key, byte[] value, TimeSpan life) => DoAsync("Set", stop =>
        _client.Cache.SetAsync(key, value, new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = life }, stop));

    public Task RemoveAsync(string key) => DoAsync("Remove", stop => _client.Cache.RemoveAsync(key, stop));

    /// <summary>Writes a value if the key has none, such as a lease; whether it did.</summary>
    public Task<bool?> SetIfAbsentAsync(string key, string value, TimeSpan life) =>
        AskAsync<bool?>(_leases, "Take", async stop => await _client.SetIfAbsentAsync(key, value, life, stop));

    /// <summary>The value of the lease; null where it is free.</summary>
    public Task<string?> OwnerAsync(string key) => AskAsync(_leases, "Holder", stop => _client.OwnerAsync(key, stop));

    /// <summary>Whether the lease is still ours, or ours again.</summary>
    public Task<bool?> RenewAsync(string key, string value, TimeSpan life) =>
        AskAsync<bool?>(_leases, "Renew", async stop => await _client.RenewAsync(key, value, life, stop));

    /// <summary>Ends a lease, if it still has this value.</summary>
    public Task ReleaseAsync(string key, string value) => AskAsync(_leases, "Release", stop => _client.ReleaseAsync(key, value, stop));

    /// <summary>Adds to a number that is there, and returns the sum.</summary>
    public Task<long?> AddAsync(string key, long by) => AskAsync(_leases, "Add", stop => _client.AddAsync(key, by, stop));

    /// <summary>Writes dates, each in the place of an earlier one, and forgets the oldest of more than <paramref name="most"/>.</summary>
    public Task<bool> AddDatesAsync(string key, IReadOnlyList<(string Name, long At)> dates, int most, TimeSpan life) =>
        DoAsync("AddDates", stop => _client.AddDatesAsync(key, dates, most, life, stop));

    /// <summary>Removes the date of a name.</summary>
    public Task<bool> RemoveDateAsync(string key, string name) =>
        DoAsync("RemoveDate", stop => _client.RemoveDateAsync(key, name, stop));

    /// <summary>The dates that are not before one, the youngest first.</summary>
    public Task<IReadOnlyList<(string Name, long At)>?> DatesSinceAsync(string key, long from, int most) =>
        AskAsync<IReadOnlyList<(string, long)>>(_leases, "DatesSince", async stop => await _client.DatesSinceAsync(key, from, most, stop));

    /// <summary>Notes that something is being read; false where another replica is deleting it.</summary>
    public Task<bool?> ReadingAsync(string reading, string deleting, TimeSpan life) =>
        AskAsync<bool?>(_facts, "Reading", async stop => await _client.ReadingAsync(reading, deleting, life, stop));

    /// <inheritdoc cref="RedisClient.DeletingAsync"/>
    public Task<bool?> DeletingAsync(
        (IEnumerable<string> Names, TimeSpan Life) readings, IEnumerable<string> deletings, TimeSpan window, TimeSpan life) =>
        AskAsync<bool?>(
            _leases, "Deleting", async stop => await _client.DeletingAsync(readings, deletings, window, life, stop));

    /// <summary>Ends what <see cref="DeletingAsync"/> has noted.</summary>
    public Task<bool> DeletedAsync(IEnumerable<string> deletings) =>
        DoAsync("Deleted", stop => _client.DeletedAsync(deletings, stop));

    /// <summary>Sends a message to the other replicas; false where it was not sent.</summary>
    public Task<bool> AnnounceAsync(string channel, string message) =>
        DoAsync("Announce", stop => _client.AnnounceAsync(channel, message, stop));

    /// <summary>Listens to the other replicas; false where that failed and is to be tried again.</summary>
    public Task<bool> ListenAsync(string channel, Action<string> heard) =>
        DoAsync("Listen", stop => _client.ListenAsync(channel, heard, stop));

    private Task<bool> DoAsync(string operation, Func<CancellationToken, Task> act) => AskAsync(_facts, operation, async stop =>
    {
        await act(stop);
        return true;
    });

    private async Task<T?> AskAsync<T>(ResiliencePipeline pipeline, string operation, Func<CancellationToken, Task<T?>> ask)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            // The client cannot cancel a command that it has sent, so only stop waiting for it.
            return await pipeline.ExecuteAsync(async stop => await ask(stop).WaitAsync(stop));
        }
        catch (BrokenCircuitException)
        {
            return default;
        }
        // Redis, the network, TLS or the client's own state: in each case Redis gave no answer.
        catch (Exception failure)
        {
            _metrics.RedisFailed();
            LogFailed(operation, failure is TimeoutRejectedException ? "no answer in time" : failure.Message);
            return default;
        }
        finally
        {
            _metrics.RedisAnswered(operation, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
    }

    private ResiliencePipeline Build(string what, TimeSpan limit, TimeProvider time) =>
        new ResiliencePipelineBuilder { TimeProvider = new SteadyTime(time) }
        .AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            // A server that answers with an error is alive, and opens no circuit.
            ShouldHandle = static tried => ValueTask.FromResult(
                tried.Outcome.Exception is { } failure and not OperationCanceledException && !RedisClient.IsAnswer(failure)),
            FailureRatio = 0.5,
            MinimumThroughput = 3,
            SamplingDuration = TimeSpan.FromSeconds(10),
            // Each break ends with one question that may be lost. The longer Redis does not answer, the fewer these are.
            BreakDurationGenerator = static broken =>
                ValueTask.FromResult(FirstBreak * (broken.HalfOpenAttempts switch { 0 => 1, 1 => 2, _ => 5 })),
            OnOpened = opened =>
            {
                if (_away.IsDue())
                    _ = LogOpenedAsync(what, opened.Outcome.Exception);
                return default;
            },
            OnClosed = _ =>
            {
                LogClosed(what);
                return default;
            },
        })
        .AddTimeout(limit)
        .Build();

    // A command that waited for a connection has a time-out, which does not tell why there is none: ask the client.
    private async Task LogOpenedAsync(string what, Exception? failure)
    {
        if (failure is TimeoutRejectedException)
            failure = await _client.ConnectionFaultAsync() ?? failure;
        LogOpened(what, FirstSentence(failure));
    }

    // The client adds its whole state to its messages.
    private static string FirstSentence(Exception? failure)
    {
        const int most = 200;
        if (failure is TimeoutRejectedException)
            return "no answer in time";
        var text = failure?.GetBaseException().Message ?? "";
        foreach (var end in new[] { "; ", ". ", ", " })
            if (text.IndexOf(end, StringComparison.Ordinal) is > 0 and var length)
                text = text[..length];
        return text.Length > most ? text[..most] : text.TrimEnd('.');
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "redis: {Operation} failed: {Reason}")]
    private partial void LogFailed(string operation, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "redis: {What} are off for a moment after repeated failures: {Reason}. Clients are served all the same, but replicas share less: "
        + "check that Redis runs, that redis.addr or redis.addrs names it, that this machine reaches it, and that user, password, "
        + "redis.db and redis.tls are right")]
    private partial void LogOpened(string what, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "redis: {What} are on again")]
    private partial void LogClosed(string what);
}
