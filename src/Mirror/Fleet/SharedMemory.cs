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
public sealed partial class SharedMemory
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    private readonly RedisServer _server;
    private readonly IDistributedCache _cache;
    private readonly RegistryMetrics _metrics;
    private readonly ILogger _log;
    private readonly ResiliencePipeline _pipeline;

    public SharedMemory(RedisServer server, RedisOptions options, RegistryMetrics metrics, TimeProvider time, ILogger<SharedMemory> log)
    {
        (_server, _cache, _metrics, _log) = (server, server, metrics, log);
        var wait = options.ReadTimeout < ShortestWait ? ShortestWait : options.ReadTimeout > LongestWait ? LongestWait : options.ReadTimeout;
        _pipeline = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<Exception>(failure => failure is not OperationCanceledException && !RedisServer.IsAnswer(failure)),
                FailureRatio = 0.5,
                MinimumThroughput = 4,
                SamplingDuration = TimeSpan.FromSeconds(5),
                BreakDuration = TimeSpan.FromSeconds(1),
                OnOpened = opened =>
                {
                    LogOpened(opened.Outcome.Exception?.Message ?? "");
                    return default;
                },
                OnClosed = _ =>
                {
                    LogClosed();
                    return default;
                },
            })
            .AddTimeout(wait)
            .Build();
    }

    /// <summary>What stands under a key; null where nothing does, or nobody can say.</summary>
    public Task<byte[]?> GetAsync(string key) => AskAsync("Get", null, stop => _cache.GetAsync(key, stop));

    /// <summary>Keeps a value for others, for a while at most.</summary>
    public Task SetAsync(string key, byte[] value, TimeSpan life) => AskAsync("Set", false, async stop =>
    {
        await _cache.SetAsync(key, value, new DistributedCacheEntryOptions { AbsoluteExpirationRelativeToNow = life }, stop);
        return true;
    });

    public Task RemoveAsync(string key) => AskAsync("Remove", false, async stop =>
    {
        await _cache.RemoveAsync(key, stop);
        return true;
    });

    /// <summary>Whether the key was free and is taken now; null where nobody can say.</summary>
    public Task<bool?> TakeAsync(string key, string value, TimeSpan life) =>
        AskAsync<bool?>("Take", null, async stop => await _server.TakeAsync(key, value, life, stop));

    /// <summary>Whether the key is still, or again, ours; null where nobody can say.</summary>
    public Task<bool?> RenewAsync(string key, string value, TimeSpan life) =>
        AskAsync<bool?>("Renew", null, async stop => await _server.RenewAsync(key, value, life, stop));

    public Task ReleaseAsync(string key, string value) => AskAsync("Release", false, stop => _server.ReleaseAsync(key, value, stop));

    /// <summary>Tells the other replicas; false where nobody can be told.</summary>
    public Task<bool> AnnounceAsync(string channel, string message) => AskAsync("Announce", false, async stop =>
    {
        await _server.AnnounceAsync(channel, message, stop);
        return true;
    });

    /// <summary>Listens to the other replicas; false where that cannot be begun now.</summary>
    public Task<bool> ListenAsync(string channel, Action<string> heard) => AskAsync("Listen", false, async stop =>
    {
        await _server.ListenAsync(channel, heard, stop);
        return true;
    });

    private async Task<T> AskAsync<T>(string operation, T otherwise, Func<CancellationToken, Task<T>> ask)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            // The client has no limit of its own for a question that was sent: we stop waiting, and let it come to its end unseen.
            return await _pipeline.ExecuteAsync(async stop => await Task.Run(() => ask(stop), CancellationToken.None).WaitAsync(stop));
        }
        catch (BrokenCircuitException)
        {
            return otherwise;
        }
        // Redis, the network, TLS, the client's own state: whatever it is, the answer is that nobody knows.
        catch (Exception failure)
        {
            _metrics.SharedMemoryFailed();
            LogFailed(operation, failure is TimeoutRejectedException ? "no answer in time" : failure.Message);
            return otherwise;
        }
        finally
        {
            _metrics.SharedMemoryAsked(operation, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "redis: {Operation} failed: {Reason}")]
    private partial void LogFailed(string operation, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "redis fails and is left alone for a moment; this replica goes on by itself: {Reason}")]
    private partial void LogOpened(string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "redis answers again")]
    private partial void LogClosed();
}
