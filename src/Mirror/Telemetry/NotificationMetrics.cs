using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.WebUtilities;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>Events for endpoints. Each method takes the configured name of an endpoint: it becomes a label.</summary>
public sealed class NotificationMetrics(MirrorMeter meter)
{
    private readonly Counter<long> _events = meter.Counter(
        "registry_notifications_events_total", "Events for an endpoint, by what became of them.");

    private readonly UpDownCounter<long> _pending = meter.UpDownCounter(
        "registry_notifications_pending_total", "Events that wait for an endpoint.");

    private readonly Counter<long> _answers = meter.Counter("registry_notifications_status_total", "Answers of an endpoint.");

    /// <param name="type"><c>Events</c>, <c>Successes</c>, <c>Failures</c> (refused), <c>Errors</c> (no answer), <c>Dropped</c>.</param>
    public void Counted(string endpoint, string type, long events) =>
        _events.Add(events, new Tag("type", type), new Tag("endpoint", endpoint));

    /// <summary>Records that so many more events wait, or fewer.</summary>
    public void Pending(string endpoint, long more) => _pending.Add(more, new Tag("endpoint", endpoint));

    public void Answered(string endpoint, int status)
    {
        var code = $"{status} {ReasonPhrases.GetReasonPhrase(status)}".TrimEnd();
        _answers.Add(1, new Tag("code", code), new Tag("endpoint", endpoint));
    }
}
