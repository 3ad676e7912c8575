using System.Diagnostics.Metrics;
using OpenTelemetry.Metrics;

namespace Mirror.Telemetry;

/// <summary>
/// Metrics of the process, with the names of Prometheus' own client libraries: existing dashboards and alerts know them. They cost
/// something only during a scrape.
/// </summary>
internal sealed class ProcessMetrics
{
    // The runtime has these under names and types that break Prometheus' rules. The metrics below take the place of the useful ones.
    private static readonly string[] Misnamed =
    [
        "dotnet.assembly.count", "dotnet.process.cpu.count", "dotnet.timer.count", "dotnet.thread_pool.thread.count",
        "dotnet.thread_pool.queue.length",
    ];

    public ProcessMetrics(MirrorMeter mirror)
    {
        var meter = mirror.Meter;
        var started = DateTimeOffset.FromUnixTimeMilliseconds(StartTimeMilliseconds());
        meter.CreateObservableGauge("process_start_time_seconds", () => started.ToUnixTimeMilliseconds() / 1000.0, "s",
            "Start of the process, in seconds since 1970.");
        meter.CreateObservableCounter("process_cpu_seconds_total", () => Environment.CpuUsage.TotalTime.TotalSeconds, "s",
            "Processor time used, user and system.");
        meter.CreateObservableGauge("process_resident_memory_bytes", () => Environment.WorkingSet, "By", "Resident memory.");
        if (OperatingSystem.IsLinux())
            meter.CreateObservableGauge("process_open_fds", OpenFiles, null, "Open file descriptors.");
        meter.CreateObservableGauge("dotnet_processors", () => Environment.ProcessorCount, null, "Processors that the process may use.");
        meter.CreateObservableGauge("dotnet_timers", () => Timer.ActiveCount, null, "Timers that are set.");
        meter.CreateObservableGauge("dotnet_thread_pool_threads", () => ThreadPool.ThreadCount, null, "Threads of the thread pool.");
        meter.CreateObservableGauge(
            "dotnet_thread_pool_queued_items", () => ThreadPool.PendingWorkItemCount, null, "Work that waits for a thread of the pool.");
        meter.CreateObservableGauge(
            "mirror_build_info",
            () => new Measurement<long>(1, new("version", Build.Version), new("runtime", Environment.Version.ToString())),
            null, "The version of the program and of .NET; always 1.");
    }

    /// <summary>A view for Prometheus that drops the runtime's metrics with wrong names or types.</summary>
    public static MetricStreamConfiguration? DropMisnamed(Instrument instrument) =>
        instrument.Meter.Name == "System.Runtime" && Misnamed.Contains(instrument.Name) ? MetricStreamConfiguration.Drop : null;

    private static long StartTimeMilliseconds()
    {
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return new DateTimeOffset(process.StartTime).ToUnixTimeMilliseconds();
    }

    // Minus one: the enumeration itself has the directory open.
    private static long OpenFiles() => Directory.EnumerateFileSystemEntries("/proc/self/fd").LongCount() - 1;
}
