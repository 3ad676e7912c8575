using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.WebUtilities;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>Events for endpoints. Each method takes the configured name of an endpoint: it becomes a label.</summary>
public sealed class NotificationMetrics
{
    private readonly Counter<long> _events;
    private readonly Counter<long> _answers;
    private readonly ConcurrentDictionary<string, Func<int>> _pending = new();

    public NotificationMetrics(MirrorMeter meter)
    {
        _events = meter.Counter("registry_notifications_events_total", "Events for an endpoint, by what became of them.");
        _answers = meter.Counter("registry_notifications_status_total", "Answers of an endpoint.");
        // Read when it is asked for: what an earlier process left is known before anything listens to changes.
        meter.Meter.CreateObservableUpDownCounter(
            "registry_notifications_pending_total",
            () => _pending.Select(each => new Measurement<long>(each.Value(), new Tag("endpoint", each.Key))),
            description: "Events that wait for an endpoint.");
    }

    /// <param name="type"><c>Events</c>, <c>Successes</c>, <c>Failures</c> (refused), <c>Errors</c> (no answer), <c>Dropped</c>.</param>
    public void Counted(string endpoint, string type, long events) =>
        _events.Add(events, new Tag("type", type), new Tag("endpoint", endpoint));

    /// <param name="pending">How many events wait.</param>
    public void Waiting(string endpoint, Func<int> pending) => _pending[endpoint] = pending;

    public void Answered(string endpoint, int status)
    {
        var code = $"{status} {ReasonPhrases.GetReasonPhrase(status)}".TrimEnd();
        _answers.Add(1, new Tag("code", code), new Tag("endpoint", endpoint));
    }
}
