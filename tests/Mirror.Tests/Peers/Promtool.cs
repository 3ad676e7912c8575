using System.Globalization;

namespace Mirror.Tests.Peers;

/// <summary>Prometheus' own check of a scrape.</summary>
internal static class Promtool
{
    public static Availability Availability => Availability.Of("promtool");

    /// <summary>The complaints of <c>promtool check metrics</c>, each a line that begins with the metric's name.</summary>
    public static async Task<IReadOnlyList<string>> CheckAsync(string scrape)
    {
        using var folder = new TempFolder();
        await using var promtool = PeerProcess.Start("sh", ["-c", $"promtool check metrics < {folder.Write("scrape", scrape)}"]);
        await promtool.ExitCodeAsync();
        return promtool.Lines;
    }

    /// <summary>Evaluates a query over counters that went from zero to these values, and returns what is wrong with its value.</summary>
    public static async Task<string> EvaluateAsync(string query, IReadOnlyDictionary<string, double> counters, double expected)
    {
        static string Quoted(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
        var series = counters.Where(counter => !counter.Key.Contains("_bucket{", StringComparison.Ordinal))
            .Select(counter => string.Create(
                CultureInfo.InvariantCulture, $"      - {{series: {Quoted(counter.Key)}, values: '0 {counter.Value}x4'}}"));
        using var folder = new TempFolder();
        var test = folder.Write("test.yml", string.Create(CultureInfo.InvariantCulture, $$"""
            tests:
              - interval: 1m
                input_series:
            {{string.Join('\n', series)}}
                promql_expr_test:
                  - expr: {{Quoted(query)}}
                    eval_time: 4m
                    exp_samples: [{labels: '{}', value: {{expected}}}]
            """));
        await using var promtool = PeerProcess.Start("promtool", ["test", "rules", test]);
        return await promtool.ExitCodeAsync() == 0 ? "" : promtool.Output;
    }
}
