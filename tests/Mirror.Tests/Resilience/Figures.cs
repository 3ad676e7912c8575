using System.Globalization;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>How often the long tests do what they do, and where they say what they measured.</summary>
internal static class Figures
{
    /// <summary>True with <c>MIRROR_TESTS=full</c>: the counts that are promised, instead of a sample of them.</summary>
    internal static bool Full { get; } = LongTests.AreRun;

    /// <summary>Every test's own numbers, the same in every run.</summary>
    internal static Random Random(int seed) => new(seed);

    internal static int Count(int sample, int full) => Full ? full : sample;

    /// <summary>How long a test of minutes takes: what it promises, or <c>MIRROR_MINUTES</c>.</summary>
    internal static int Minutes(int promised) =>
        int.TryParse(Environment.GetEnvironmentVariable("MIRROR_MINUTES"), CultureInfo.InvariantCulture, out var minutes)
            ? minutes
            : promised;

    /// <summary>A line of the report: to the test's output, and to the file that <c>MIRROR_FIGURES</c> names.</summary>
    internal static void Report(string line)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(line);
        if (Environment.GetEnvironmentVariable("MIRROR_FIGURES") is { Length: > 0 } file)
            lock (typeof(Figures))
                File.AppendAllText(file, line + "\n");
    }

    internal static string Milliseconds(IEnumerable<TimeSpan> times, double quantile)
    {
        var sorted = times.Order().ToList();
        var time = sorted[(int)Math.Min(sorted.Count - 1, sorted.Count * quantile)];
        return string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:F1} ms");
    }
}
