using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Bench;

/// <summary>wrk with one thread and 32 connections, and the server's processor time meanwhile.</summary>
internal sealed partial record Wrk(double PerSecond, double CpuMicroseconds, double Median, double Slowest, bool Failed)
{
    public static string? Missing => File.Exists("/usr/bin/wrk") ? null : "there is no /usr/bin/wrk";

    public static Wrk Run(ServerProcess server, string path, int seconds)
    {
        var start = new ProcessStartInfo("/usr/bin/wrk",
            ["-t1", "-c32", $"-d{seconds}s", "--latency", "-H", "Accept: */*", $"http://127.0.0.1:{server.Port}{path}"])
        {
            RedirectStandardOutput = true,
        };
        var before = server.CpuSeconds;
        using var wrk = Process.Start(start)!;
        var said = wrk.StandardOutput.ReadToEnd();
        wrk.WaitForExit();
        var spent = server.CpuSeconds - before;
        var requests = double.Parse(Requests().Match(said).Groups[1].Value, CultureInfo.InvariantCulture);
        return new Wrk(
            double.Parse(Rate().Match(said).Groups[1].Value, CultureInfo.InvariantCulture), spent / Math.Max(requests, 1) * 1e6,
            Milliseconds(said, "50"), Milliseconds(said, "99"),
            said.Contains("Non-2xx", StringComparison.Ordinal) || said.Contains("Socket errors", StringComparison.Ordinal));
    }

    private static double Milliseconds(string said, string percent)
    {
        var match = Regex.Match(said, $@"{percent}%\s+([\d.]+)(us|ms|s)");
        var unit = match.Groups[2].Value switch { "us" => 1e-3, "ms" => 1, _ => 1e3 };
        return double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * unit;
    }

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex Rate();

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex Requests();
}
