using System.Globalization;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace Mirror.Telemetry;

/// <summary>
/// Writes metrics in Prometheus' text format 0.0.4. It and <see cref="PrometheusScrape"/> stand in for the package
/// OpenTelemetry.Exporter.Prometheus.AspNetCore until that can be had, and name things as it does.
/// </summary>
/// <remarks>Not safe for two collections at a time; <see cref="PrometheusScrape"/> sees to that.</remarks>
[ExportModes(ExportModes.Pull)]
internal sealed class PrometheusText(Utf8Buffer text) : BaseExporter<Metric>, IPullMetricExporter
{
    /// <summary>Collects into the text. Given by the reader; to be called with a timeout in milliseconds, -1 for none.</summary>
    public Func<int, bool>? Collect { get; set; }

    public override ExportResult Export(in Batch<Metric> batch)
    {
        foreach (var metric in batch)
            Write(metric);
        return ExportResult.Success;
    }

    private void Write(Metric metric)
    {
        var type = metric.MetricType switch
        {
            MetricType.LongSum or MetricType.DoubleSum => "counter",
            MetricType.Histogram => "histogram",
            MetricType.ExponentialHistogram => null, // 0.0.4 has no words for it, and nothing here makes one.
            _ => "gauge",
        };
        if (type is null)
            return;
        var name = PrometheusName.Of(metric.Name, metric.Unit, type is "counter");
        if (metric.Description.Length > 0)
        {
            Head("# HELP ", name);
            Escape(metric.Description, quoted: false);
            text.Append((byte)'\n');
        }
        Head("# TYPE ", name);
        text.Append(type);
        text.Append((byte)'\n');

        foreach (ref readonly var point in metric.GetMetricPoints())
        {
            switch (metric.MetricType)
            {
                case MetricType.Histogram:
                    WriteHistogram(name, in point);
                    break;
                case MetricType.LongSum or MetricType.LongSumNonMonotonic:
                    WriteSample(name, "", in point, null, point.GetSumLong());
                    break;
                case MetricType.LongGauge:
                    WriteSample(name, "", in point, null, point.GetGaugeLastValueLong());
                    break;
                case MetricType.DoubleSum or MetricType.DoubleSumNonMonotonic:
                    WriteSample(name, "", in point, null, point.GetSumDouble());
                    break;
                default:
                    WriteSample(name, "", in point, null, point.GetGaugeLastValueDouble());
                    break;
            }
        }
    }

    private void WriteHistogram(string name, in MetricPoint point)
    {
        long cumulative = 0;
        foreach (var bucket in point.GetHistogramBuckets())
        {
            cumulative += bucket.BucketCount;
            WriteSample(name, "_bucket", in point, bucket.ExplicitBound, cumulative);
        }
        WriteSample(name, "_sum", in point, null, point.GetHistogramSum());
        // The buckets' own total, so that +Inf and _count always agree.
        WriteSample(name, "_count", in point, null, cumulative);
    }

    private void WriteSample<T>(string name, string suffix, in MetricPoint point, double? bound, T value) where T : IUtf8SpanFormattable
    {
        text.Append(name);
        text.Append(suffix);
        var opened = false;
        foreach (var tag in point.Tags)
        {
            StartLabel(PrometheusName.OfLabel(tag.Key), ref opened);
            Escape(Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? "", quoted: true);
            text.Append((byte)'"');
        }
        if (bound is { } le)
        {
            StartLabel("le", ref opened);
            Number(le);
            text.Append((byte)'"');
        }
        if (opened)
            text.Append((byte)'}');
        text.Append((byte)' ');
        if (value is double number)
            Number(number);
        else
            text.Append(value);
        text.Append((byte)'\n');
    }

    private void Head(string keyword, string name)
    {
        text.Append(keyword);
        text.Append(name);
        text.Append((byte)' ');
    }

    private void StartLabel(string key, ref bool opened)
    {
        text.Append(opened ? (byte)',' : (byte)'{');
        opened = true;
        text.Append(key);
        text.Append("=\""u8);
    }

    private void Number(double number)
    {
        if (double.IsFinite(number))
            text.Append(number);
        else
            text.Append(double.IsNaN(number) ? "NaN"u8 : number > 0 ? "+Inf"u8 : "-Inf"u8);
    }

    private void Escape(ReadOnlySpan<char> value, bool quoted)
    {
        while (value.IndexOfAny('\\', '\n', '"') is >= 0 and var at)
        {
            text.Append(value[..at]);
            text.Append(value[at] switch
            {
                '\\' => "\\\\"u8,
                '\n' => "\\n"u8,
                _ => quoted ? "\\\""u8 : "\""u8,
            });
            value = value[(at + 1)..];
        }
        text.Append(value);
    }
}
