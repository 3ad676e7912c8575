using System.Diagnostics;
using Microsoft.Extensions.Caching.Distributed;
using Mirror.Configuration;
using Mirror.Telemetry;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Mirror.Fleet;

/// <summary>
/// What replicas share and may forget. Every question has a short time limit, and where several fail in a row none is asked for a while: a server that
/// is gone, hangs, is full or read-only costs little time, and no request fails for it. Nothing here throws.
/// </summary>
public sealed partial class RedisGuard
{
    private static readonly TimeSpan MinWait = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LeaseWait = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstBreak = TimeSpan.FromSeconds(1);

    private readonly RedisClient _server;
    private readonly IDistributedCache _cache;
    private readonly RegistryMetrics _metrics;
    private readonly ILogger _log;
    private readonly ResiliencePipeline _facts;
    private readonly ResiliencePipeline _leases;

    public RedisGuard(RedisClient server, RedisOptions options, RegistryMetrics metrics, TimeProvider time, ILogger<RedisGuard> log)
    {
        (_server, _cache, _metrics, _log) = (server, server, metrics, log);
        _facts = Build("what replicas share", options.ReadTimeout < MinWait ? MinWait : options.ReadTimeout > MaxWait ? MaxWait : options.ReadTimeout, time);
        // To learn who downloads is worth more than a fact: going on without costs a whole download.
        _leases = Build("who downloads what", LeaseWait, time);
    }

    /// <summary>What stands under a key; null where nothing does, or nobody can say.</summary>
    public Task<byte[]?> GetAsync(string key) => AskAsync(_facts, "Get", null, stop => _cache.GetAsync(key, stop));

    /// <summary>Keeps a value for others, for a while at most.</summary>
    public Task SetAsync(string key, byte[] value, TimeSpan life) => AskAsync(_facts, "Set", false, async stop =>
    {
        await _cache.SetAsync(key, value, new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = life }, stop);
        return true;
    });

    public Task RemoveAsync(string key) => AskAsync(_facts, "Remove", false, async stop =>
    {
        await _cache.RemoveAsync(key, stop);
        return true;
    });

    /// <summary>Whether the key was free and is taken now; null where nobody can say.</summary>
    public Task<bool?> TakeAsync(string key, string value, TimeSpan life) =>
        AskAsync<bool?>(_leases, "Take", null, async stop => await _server.TakeAsync(key, value, life, stop));

    /// <summary>Who took a key; null where nobody did, or nobody can say.</summary>
    public Task<byte[]?> HolderAsync(string key) => AskAsync(_leases, "Holder", null, stop => _cache.GetAsync(key, stop));

    /// <summary>Whether the key is still, or again, ours; null where nobody can say.</summary>
    public Task<bool?> TouchAsync(string key, string value, TimeSpan life) =>
        AskAsync<bool?>(_leases, "Renew", null, async stop => await _server.TouchAsync(key, value, life, stop));

    public Task ReleaseAsync(string key, string value) => AskAsync(_leases, "Release", false, stop => _server.ReleaseAsync(key, value, stop));

    /// <summary>Tells the other replicas; false where nobody can be told.</summary>
    public Task<bool> AnnounceAsync(string channel, string message) => AskAsync(_facts, "Announce", false, async stop =>
    {
        await _server.AnnounceAsync(channel, message, stop);
        return true;
    });

    /// <summary>Listens to the other replicas; false where that cannot be begun now.</summary>
    public Task<bool> ListenAsync(string channel, Action<string> heard) => AskAsync(_facts, "Listen", false, async stop =>
    {
        await _server.ListenAsync(channel, heard, stop);
        return true;
    });

    private async Task<T> AskAsync<T>(ResiliencePipeline pipeline, string operation, T otherwise, Func<CancellationToken, Task<T>> ask)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            // The client has no limit of its own for a question that was sent: we stop waiting, and let it come to its end unseen.
            return await pipeline.ExecuteAsync(async stop => await ask(stop).WaitAsync(stop));
        }
        catch (BrokenCircuitException)
        {
            return otherwise;
        }
        // Redis, the network, TLS, the client's own state: whatever it is, the answer is that nobody knows.
        catch (Exception failure)
        {
            _metrics.RecordRedisFailure();
            LogFailed(operation, failure is TimeoutRejectedException ? "no answer in time" : failure.Message);
            return otherwise;
        }
        finally
        {
            _metrics.ObserveRedisCall(operation, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
    }

    private ResiliencePipeline Build(string about, TimeSpan wait, TimeProvider time) => new ResiliencePipelineBuilder { TimeProvider = time }
        .AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            // A server that answers, if only to refuse, is there.
            ShouldHandle = new PredicateBuilder().Handle<Exception>(failure => failure is not OperationCanceledException && !RedisClient.IsAnswer(failure)),
            FailureRatio = 0.5,
            MinimumThroughput = 3,
            SamplingDuration = TimeSpan.FromSeconds(10),
            // One question in each break is lost; the longer the trouble lasts, the fewer they are.
            BreakDurationGenerator = static broken => ValueTask.FromResult(broken.HalfOpenAttempts switch { 0 => FirstBreak, 1 => 2 * FirstBreak, _ => 5 * FirstBreak }),
            OnOpened = opened =>
            {
                LogOpened(about, opened.Outcome.Exception?.Message ?? "");
                return default;
            },
            OnClosed = _ =>
            {
                LogClosed(about);
                return default;
            },
        })
        .AddTimeout(wait)
        .Build();

    [LoggerMessage(Level = LogLevel.Debug, Message = "redis: {Operation} failed: {Reason}")]
    private partial void LogFailed(string operation, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "redis fails and is not asked for a moment about {About}; this replica goes on by itself: {Reason}")]
    private partial void LogOpened(string about, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "redis is asked again about {About}")]
    private partial void LogClosed(string about);
}
