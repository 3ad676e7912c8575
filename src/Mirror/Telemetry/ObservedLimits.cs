using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>The gauges of the rate limits at upstreams, which are read from the accounts there are at that moment.</summary>
internal sealed class ObservedLimits
{
    private readonly Lock _gate = new();
    private readonly List<(string Upstream, Func<IEnumerable<(int Account, long? Limit, long? Remaining)>> Read)> _upstreams = [];

    public ObservedLimits(MirrorMeter meter)
    {
        meter.Meter.CreateObservableGauge(
            "mirror_upstream_ratelimit_limit", () => Read(account => account.Limit), null, "Pulls upstream allows in its window.");
        meter.Meter.CreateObservableGauge(
            "mirror_upstream_ratelimit_remaining", () => Read(account => account.Remaining), null, "Pulls upstream still allows.");
    }

    public void Add(string upstream, Func<IEnumerable<(int Account, long? Limit, long? Remaining)>> read)
    {
        lock (_gate)
            _upstreams.Add((upstream, read));
    }

    private List<Measurement<long>> Read(Func<(int Account, long? Limit, long? Remaining), long?> value)
    {
        lock (_gate)
            return
            [
                .. from each in _upstreams
                from account in each.Read()
                where value(account) is not null
                select new Measurement<long>(
                    value(account)!.Value, new Tag("upstream", each.Upstream), new Tag("account", account.Account)),
            ];
    }
}
