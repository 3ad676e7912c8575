using System.Text;

namespace Mirror.Telemetry;

/// <summary>
/// An instrument's name as Prometheus spells it, by OpenTelemetry's rules: <c>dotnet.process.cpu.time</c> in <c>s</c> becomes
/// <c>dotnet_process_cpu_time_seconds_total</c>. Names that already say their unit and kind stay as they are.
/// </summary>
internal static class PrometheusName
{
    public static string Of(string instrument, string unit, bool counter)
    {
        var name = OfLabel(instrument);
        var word = unit switch
        {
            "s" => "seconds",
            "ms" => "milliseconds",
            "By" => "bytes",
            _ => "", // Annotations such as {collection} name what the instrument's name says already.
        };
        // process_cpu_seconds_total has its unit before the end.
        if (word.Length > 0 && !name.Contains(word, StringComparison.Ordinal))
            name = $"{name}_{word}";
        return counter && !name.EndsWith("_total", StringComparison.Ordinal) ? name + "_total" : name;
    }

    /// <summary>A label's name: letters, digits and underscores, not beginning with a digit.</summary>
    public static string OfLabel(string key)
    {
        var plain = true;
        foreach (var c in key)
            plain &= char.IsAsciiLetterOrDigit(c) || c is '_';
        if (plain && key.Length > 0 && !char.IsAsciiDigit(key[0]))
            return key;
        var name = new StringBuilder(key.Length + 1);
        if (key.Length == 0 || char.IsAsciiDigit(key[0]))
            name.Append('_');
        foreach (var c in key)
            name.Append(char.IsAsciiLetterOrDigit(c) ? c : '_');
        return name.ToString();
    }
}
