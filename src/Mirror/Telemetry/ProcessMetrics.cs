using System.Diagnostics.Metrics;

namespace Mirror.Telemetry;

/// <summary>Metrics of the process, with the names of Prometheus' own client libraries: existing dashboards and alerts know them.</summary>
internal static class ProcessMetrics
{
    /// <summary>Adds the instruments to a meter. They cost something only during a scrape.</summary>
    public static void AddTo(Meter meter)
    {
        var started = DateTimeOffset.FromUnixTimeMilliseconds(StartTimeMilliseconds());
        meter.CreateObservableGauge("process_start_time_seconds", () => started.ToUnixTimeMilliseconds() / 1000.0, "s",
            "Start of the process, in seconds since 1970.");
        meter.CreateObservableCounter("process_cpu_seconds_total", () => Environment.CpuUsage.TotalTime.TotalSeconds, "s",
            "Processor time used, user and system.");
        meter.CreateObservableGauge("process_resident_memory_bytes", () => Environment.WorkingSet, "By", "Resident memory.");
        if (OperatingSystem.IsLinux())
            meter.CreateObservableGauge("process_open_fds", OpenFiles, null, "Open file descriptors.");
    }

    private static long StartTimeMilliseconds()
    {
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return new DateTimeOffset(process.StartTime).ToUnixTimeMilliseconds();
    }

    // Minus one: the enumeration itself has the directory open.
    private static long OpenFiles() => Directory.EnumerateFileSystemEntries("/proc/self/fd").LongCount() - 1;
}
