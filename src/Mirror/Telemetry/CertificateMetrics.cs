using System.Diagnostics.Metrics;

namespace Mirror.Telemetry;

/// <summary>The certificates that the server obtains.</summary>
public sealed class CertificateMetrics
{
    public CertificateMetrics(MirrorMeter meter) => meter.Meter.CreateObservableGauge(
        "mirror_tls_certificate_end_timestamp_seconds",
        () => (Read?.Invoke() ?? []).Select(each =>
            new Measurement<long>(each.End.ToUnixTimeSeconds(), new KeyValuePair<string, object?>("host", each.Host))),
        "s",
        "When the certificate of a host of http.tls.letsencrypt ends, in seconds since 1970.");

    /// <summary>Reads the end of each host's certificate.</summary>
    public Func<IEnumerable<(string Host, DateTimeOffset End)>>? Read { get; set; }
}
