using System.Net;
using System.Net.Http.Headers;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Telemetry;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace Mirror.Notifications;

/// <summary>One entry of <c>notifications.endpoints</c>: which events it wants, their queue, and their delivery.</summary>
internal sealed partial class EventEndpoint : IDisposable
{
    private const string MediaType = "application/vnd.docker.distribution.events.v2+json";

    private static readonly TimeSpan MinDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMinutes(1);

    private readonly NotificationEndpointOptions _options;
    private readonly EventQueue _queue;
    private readonly HttpClient _http;
    private readonly NotificationMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly HashSet<string> _ignoredTypes;
    private readonly HashSet<string> _ignoredActions;
    private readonly ResiliencePipeline _untilDelivered;

    public EventEndpoint(
        NotificationEndpointOptions options, EventQueue queue, HttpClient http, NotificationMetrics metrics, TimeProvider time, ILogger log)
    {
        (_options, _queue, _http, _metrics, _time, _log) = (options, queue, http, metrics, time, log);
        _ignoredTypes = [.. options.IgnoredMediaTypes, .. options.Ignore.MediaTypes];
        _ignoredActions = [.. options.Ignore.Actions];
        _untilDelivered = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<HttpRequestException>().Handle<TimeoutRejectedException>(),
                MaxRetryAttempts = int.MaxValue,
                DelayGenerator = attempt => ValueTask.FromResult<TimeSpan?>(Delay(attempt.AttemptNumber)),
                OnRetry = RecordFailure,
            })
            .AddTimeout(options.Timeout)
            .Build();
        metrics.Waiting(options.Name, () => queue.Pending);
    }

    /// <summary>Whether the endpoint's settings ask for events of this action and media type.</summary>
    public bool Wants(string action, string? mediaType) =>
        !_ignoredActions.Contains(action) && !(mediaType is not null && _ignoredTypes.Contains(mediaType));

    /// <summary>Queues an event. Never throws: an event that cannot be written is counted and logged as lost.</summary>
    /// <param name="flush">Whether the event survives a power cut when this returns.</param>
    public void Enqueue(ReadOnlySpan<byte> json, bool flush)
    {
        _metrics.Counted(_options.Name, "Events", 1);
        try
        {
            var dropped = _queue.Append(json);
            if (dropped > 0)
                RecordLoss(dropped, "the queue is full");
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            RecordLoss(1, failure.Message);
            return;
        }
        try
        {
            if (flush)
                _queue.Flush();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogNotFlushed(_log, _options.Name, failure.Message);
        }
    }

    /// <summary>Delivers events in order, and retries each batch until the endpoint takes it. Runs until it is cancelled.</summary>
    public async Task DeliverAsync(CancellationToken stop)
    {
        while (true)
            try
            {
                var batch = await _queue.NextAsync(stop);
                var envelope = batch.Envelope();
                await _untilDelivered.ExecuteAsync(async attempt => await PostAsync(envelope, attempt), stop);
                _metrics.Counted(_options.Name, "Successes", batch.Events.Count);
                _queue.Delivered(batch);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                LogUnreadable(_log, _options.Name, failure.Message);
                await Task.Delay(RetryDelay, _time, stop);
            }
            // Whatever else fails: the endpoint's events stay in the queue, and neither the server nor the other endpoints end with it.
            catch (Exception failure) when (!stop.IsCancellationRequested)
            {
                _metrics.Counted(_options.Name, "Errors", 1);
                LogUnexpected(_log, _options.Name, _queue.Pending, failure);
                await Task.Delay(RetryDelay, _time, stop);
            }
    }

    public void Dispose()
    {
        _queue.Dispose();
        _http.Dispose();
    }

    private async ValueTask PostAsync(byte[] envelope, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _options.Url) { Content = new ByteArrayContent(envelope) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(MediaType);
        request.Headers.Authorization = BasicHeader.Of(_options.Url);
        ConfiguredHeaders.Set(request, _options.Headers);
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        _metrics.Answered(_options.Name, (int)response.StatusCode);
        // A redirect counts as delivered, as in registry:2. It is not followed: its target is not the endpoint that was configured.
        if (response.StatusCode is < HttpStatusCode.OK or >= HttpStatusCode.BadRequest)
            throw new HttpRequestException($"the endpoint answered {(int)response.StatusCode}", null, response.StatusCode);
    }

    private TimeSpan Delay(int attempt)
    {
        if (attempt + 1 >= _options.Threshold)
            return _options.Backoff.ForTimer;
        var growing = MinDelay * Math.Pow(2, Math.Min(attempt, 10));
        return growing < _options.Backoff ? growing : _options.Backoff.ForTimer;
    }

    private ValueTask RecordFailure(OnRetryArguments<object> attempt)
    {
        var answered = attempt.Outcome.Exception is HttpRequestException { StatusCode: not null };
        _metrics.Counted(_options.Name, answered ? "Failures" : "Errors", 1);
        // Log the first failure, and the one that reaches the threshold, but not every attempt.
        if (attempt.AttemptNumber == 0 || attempt.AttemptNumber + 1 == _options.Threshold)
            LogFailed(_log, _options.Name, attempt.AttemptNumber + 1, _queue.Pending, attempt.Outcome.Exception!.Message);
        return ValueTask.CompletedTask;
    }

    private void RecordLoss(int events, string why)
    {
        _metrics.Counted(_options.Name, "Dropped", events);
        LogDropped(_log, events, _options.Name, why);
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "endpoint {Endpoint} took no events in {Attempts} attempts; {Pending} are queued and will be sent again: {Reason}")]
    private static partial void LogFailed(ILogger log, string endpoint, int attempts, int pending, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "the queue of endpoint {Endpoint} cannot be read or written; will try again in a minute: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string endpoint, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "unexpected failure while sending events to endpoint {Endpoint}; {Pending} are queued and will be sent again in a minute; "
        + "report this error")]
    private static partial void LogUnexpected(ILogger log, string endpoint, int pending, Exception failure);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "the queue of endpoint {Endpoint} cannot be flushed; a power cut would take its newest events: {Reason}")]
    private static partial void LogNotFlushed(ILogger log, string endpoint, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "lost {Events} events for endpoint {Endpoint}: {Reason}")]
    private static partial void LogDropped(ILogger log, int events, string endpoint, string reason);
}
