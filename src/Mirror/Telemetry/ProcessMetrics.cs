using System.Diagnostics.Metrics;

namespace Mirror.Telemetry;

/// <summary>The process as Prometheus' own client libraries name it, so that existing dashboards and alerts read it.</summary>
internal static class ProcessMetrics
{
    /// <summary>Adds the instruments to a meter. They are read when scraped and cost nothing otherwise.</summary>
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

    // One less: the enumeration has the directory itself open.
    private static long OpenFiles() => Directory.EnumerateFileSystemEntries("/proc/self/fd").LongCount() - 1;
}
