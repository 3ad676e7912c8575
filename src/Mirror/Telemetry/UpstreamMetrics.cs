using System.Diagnostics;
using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>
/// What the mirror asks of other registries, and what they answer. Each method takes the name of a configured upstream, and of no other:
/// it becomes the label <c>upstream</c>.
/// </summary>
public sealed class UpstreamMetrics(MirrorMeter meter)
{
    private static readonly Tag[] Kinds = Labels.Tags<UpstreamKind>("kind");
    private static readonly Tag[] KindTypes = Labels.Tags<UpstreamKind>("type");
    private static readonly Tag[] Types = Labels.Tags<ContentKind>("type");

    private readonly Counter<long> _requests = meter.Counter("mirror_upstream_requests_total", "Requests sent upstream.");

    private readonly Histogram<double> _seconds = meter.Seconds(
        "mirror_upstream_request_seconds", "Time until upstream's response headers, or the error.", MirrorMeter.Durations);

    private readonly Counter<long> _bytes = meter.Counter("mirror_upstream_bytes_total", "Body bytes received from upstream.", "By");

    private readonly Counter<long> _proxyPulledBytes = meter.ZeroCounter(
        "registry_proxy_pulled_bytes_total", "Bytes of content received from upstream.", "By", [.. Types.Select(type => (Tag[])[type])]);

    private readonly Gauge<long> _up = meter.Gauge(
        "mirror_upstream_up", "Whether upstream answered as a working registry when asked last.");

    private readonly ObservedLimits _limits = new(meter);

    private readonly Histogram<double> _waits = meter.Seconds(
        "mirror_client_wait_seconds", "Time clients waited for upstream before their answer began.",
        [.. MirrorMeter.Durations, 120, 300, 900]);

    private readonly UpDownCounter<long> _held = meter.ZeroUpDownCounter(
        "mirror_held_requests", "Requests that wait for an upstream that is unavailable or says later.");

    /// <param name="status">Null where no answer came.</param>
    /// <param name="seconds">Until the headers of the response, or the error.</param>
    public void Asked(string upstream, UpstreamKind kind, string method, int? status, double seconds)
    {
        var (upstreamTag, kindTag) = (new Tag("upstream", upstream), Kinds[(int)kind]);
        var statusTag = new Tag("status", status is { } code ? Labels.Status(code) : "error");
        _requests.Add(1, new TagList([upstreamTag, kindTag, new Tag("method", Labels.Method(method)), statusTag]));
        _seconds.Record(seconds, upstreamTag, kindTag);
    }

    /// <summary>Records body bytes: call it for each buffer, or once for each body.</summary>
    public void Received(string upstream, UpstreamKind kind, long bytes)
    {
        _bytes.Add(bytes, new Tag("upstream", upstream), KindTypes[(int)kind]);
        // registry:3 counts content only, not tokens or lists.
        if (kind is UpstreamKind.Blob)
            _proxyPulledBytes.Add(bytes, Types[(int)ContentKind.Blob]);
        else if (kind is UpstreamKind.Manifest)
            _proxyPulledBytes.Add(bytes, Types[(int)ContentKind.Manifest]);
    }

    /// <summary>Records whether an upstream works, as far as its last answer tells.</summary>
    public void IsUp(string upstream, bool isUp) => _up.Record(isUp ? 1 : 0, new Tag("upstream", upstream));

    /// <summary>Shows the rate limits of an upstream's accounts whenever metrics are read.</summary>
    /// <param name="read">The accounts there are now: the index of each, and null for a value that is not known.</param>
    public void ObserveRateLimits(string upstream, Func<IEnumerable<(int Account, long? Limit, long? Remaining)>> read) =>
        _limits.Add(upstream, read);

    /// <summary>Records how long a client waited for upstream, until its answer could begin or failed.</summary>
    public void Waited(string upstream, double seconds) => _waits.Record(seconds, new Tag("upstream", upstream));

    /// <summary>Counts a request that waits for upstream (<c>proxy.hold</c>), until <see cref="Released"/>.</summary>
    public void Held() => _held.Add(1);

    public void Released() => _held.Add(-1);
}
