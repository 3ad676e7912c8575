using System.Net.Http.Headers;
using System.Net;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Telemetry;
using Polly.Retry;
using Polly.Timeout;
using Polly;

namespace Mirror.Notifications;

/// <summary>One receiver: what it is told, what waits for it, and how that gets there.</summary>
internal sealed partial class EventEndpoint : IDisposable
{
    private const string MediaType = "application/vnd.docker.distribution.events.v2+json";

    private static readonly TimeSpan MinWait = TimeSpan.FromMilliseconds(50);

    private readonly NotificationEndpointOptions _options;
    private readonly EventQueue _queue;
    private readonly HttpClient _http;
    private readonly RegistryMetrics _metrics;
    private readonly ILogger _log;
    private readonly HashSet<string> _ignoredTypes;
    private readonly HashSet<string> _ignoredActions;
    private readonly ResiliencePipeline _untilDelivered;

    public EventEndpoint(NotificationEndpointOptions options, EventQueue queue, HttpClient http, RegistryMetrics metrics, TimeProvider time, ILogger log)
    {
        (_options, _queue, _http, _metrics, _log) = (options, queue, http, metrics, log);
        _ignoredTypes = [.. options.IgnoredMediaTypes, .. options.Ignore.MediaTypes];
        _ignoredActions = [.. options.Ignore.Actions];
        _untilDelivered = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<HttpRequestException>().Handle<TimeoutRejectedException>(),
                MaxRetryAttempts = int.MaxValue,
                DelayGenerator = attempt => ValueTask.FromResult<TimeSpan?>(Wait(attempt.AttemptNumber)),
                OnRetry = Failed,
            })
            .AddTimeout(options.Timeout)
            .Build();
        metrics.RecordPendingEvents(options.Name, queue.Pending);
    }

    public bool Wants(string action, string? mediaType) => !_ignoredActions.Contains(action) && !(mediaType is not null && _ignoredTypes.Contains(mediaType));

    /// <summary>Queues an event. Telling of a request never fails it: what the disk does not take is lost, counted and said.</summary>
    public void Add(ReadOnlySpan<byte> json)
    {
        _metrics.RecordEvents(_options.Name, "Events", 1);
        try
        {
            var dropped = _queue.Append(json);
            _metrics.RecordPendingEvents(_options.Name, 1 - dropped);
            if (dropped > 0)
                Dropped(dropped, "the queue is full");
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            Dropped(1, failure.Message);
        }
    }

    /// <summary>Delivers, in order, until it is stopped.</summary>
    public async Task DeliverAsync(CancellationToken stop)
    {
        while (true)
        {
            var batch = await _queue.NextAsync(stop);
            var envelope = batch.Envelope();
            await _untilDelivered.ExecuteAsync(async attempt => await PostAsync(envelope, attempt), stop);
            _metrics.RecordEvents(_options.Name, "Successes", batch.Events.Count);
            _metrics.RecordPendingEvents(_options.Name, -_queue.Delivered(batch));
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
        foreach (var (name, values) in _options.Headers)
        {
            request.Headers.Remove(name);
            if (!request.Headers.TryAddWithoutValidation(name, values))
            {
                request.Content.Headers.Remove(name);
                request.Content.Headers.TryAddWithoutValidation(name, values);
            }
        }
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        _metrics.RecordEventAnswer(_options.Name, (int)response.StatusCode);
        // A redirect is taken for delivered, as by registry:2, and not followed: its target is not who was configured.
        if (response.StatusCode is < HttpStatusCode.OK or >= HttpStatusCode.BadRequest)
            throw new HttpRequestException($"it answered {(int)response.StatusCode}", null, response.StatusCode);
    }

    private TimeSpan Wait(int attempt)
    {
        if (attempt + 1 >= _options.Threshold)
            return _options.Backoff;
        var growing = MinWait * Math.Pow(2, Math.Min(attempt, 10));
        return growing < _options.Backoff ? growing : _options.Backoff;
    }

    private ValueTask Failed(OnRetryArguments<object> attempt)
    {
        _metrics.RecordEvents(_options.Name, attempt.Outcome.Exception is HttpRequestException { StatusCode: not null } ? "Failures" : "Errors", 1);
        // Once when it starts and once when it lasts, not at every attempt.
        if (attempt.AttemptNumber == 0 || attempt.AttemptNumber + 1 == _options.Threshold)
            LogFailed(_log, _options.Name, attempt.AttemptNumber + 1, _queue.Pending, attempt.Outcome.Exception!.Message);
        return ValueTask.CompletedTask;
    }

    private void Dropped(int events, string why)
    {
        _metrics.RecordEvents(_options.Name, "Dropped", events);
        LogDropped(_log, events, _options.Name, why);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "endpoint {Endpoint} took no events, {Attempts} times now; {Pending} wait: {Reason}")]
    private static partial void LogFailed(ILogger log, string endpoint, int attempts, int pending, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Events} events for endpoint {Endpoint} are lost: {Reason}")]
    private static partial void LogDropped(ILogger log, int events, string endpoint, string reason);
}
