using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>Reads Prometheus' text format 0.0.4, strictly: a line it does not understand fails the test.</summary>
internal static partial class ExpositionFormat
{
    /// <summary>Every sample's value by its name and labels, as they stand in the line: labels in alphabetical order, then le. Empty braces
    /// are left out.</summary>
    public static Dictionary<string, double> Read(string text)
    {
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var samples = new Dictionary<string, double>();
        var types = new Dictionary<string, string>();
        foreach (var line in text.TrimEnd('\n').Split('\n'))
        {
            if (line.StartsWith("# HELP ", StringComparison.Ordinal))
                continue;
            if (TypeLine().Match(line) is { Success: true } type)
            {
                Assert.True(types.TryAdd(type.Groups["name"].Value, type.Groups["type"].Value), $"second TYPE: {line}");
                continue;
            }
            var sample = SampleLine().Match(line);
            Assert.True(sample.Success, $"not a sample: {line}");
            var name = sample.Groups["name"].Value;
            Assert.True(types.ContainsKey(name) || types.GetValueOrDefault(HistogramSuffix().Replace(name, "")) == "histogram",
                $"sample without TYPE: {line}");
            var value = sample.Groups["value"].Value switch
            {
                "+Inf" => double.PositiveInfinity,
                "-Inf" => double.NegativeInfinity,
                var number => double.Parse(number, CultureInfo.InvariantCulture),
            };
            var labels = sample.Groups["labels"].Value is "{}" ? "" : sample.Groups["labels"].Value;
            Assert.True(samples.TryAdd(name + labels, value), $"twice: {line}");
        }
        return samples;
    }

    [GeneratedRegex("^# TYPE (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<type>counter|gauge|histogram)$")]
    private static partial Regex TypeLine();

    [GeneratedRegex("""
        ^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
        (?<labels>\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*"(,(?!\})|(?=\})))*\})?
        [ ](?<value>[-+0-9.eE]+|NaN|\+Inf|-Inf)$
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex SampleLine();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramSuffix();
}
