using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging.Console;
using Mirror.Configuration;
using Mirror.Storage.Stores;

namespace Mirror.Telemetry;

/// <summary>Registers the services of Telemetry.</summary>
public static class TelemetryRegistration
{
    // A reader that pauses for a moment, as the log driver of a container may, costs no line.
    private const int MaxWaitingLines = 2500;

    /// <summary>The classes that record metrics.</summary>
    internal static readonly Type[] AllMetrics =
    [
        typeof(RequestMetrics), typeof(UpstreamMetrics), typeof(FillMetrics), typeof(StoreMetrics), typeof(FleetMetrics),
        typeof(NotificationMetrics), typeof(HookMetrics), typeof(ProcessMetrics), typeof(StaleMetrics), typeof(DiskMetrics),
        typeof(CertificateMetrics),
    ];

    /// <summary>
    /// Adds metrics, traces, the access log on stdout, and the application log on stderr, which takes the place of every other logger.
    /// Nothing is collected or exported unless the configuration (<c>http.debug.prometheus</c>, <c>reporting.newrelic</c>) or the standard
    /// <c>OTEL_*</c> variables ask for it.
    /// </summary>
    public static void AddTelemetry(
        this IHostApplicationBuilder builder, LogOptions log, DebugOptions debug, NewRelicOptions? newRelic = null)
    {
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddMirrorMetrics().AddSingleton<AccessLog>().AddSingleton<AuditLog>();
        var prometheus = debug is { Addr: not null, Prometheus.Enabled: true };
        var toNewRelic = NewRelic.Variables(newRelic ?? new(), Environment.GetEnvironmentVariable);
        var otlp = OtlpSettings.Read(name => toNewRelic.GetValueOrDefault(name) ?? Environment.GetEnvironmentVariable(name));
        // Otherwise the SDK is not even loaded.
        if (prometheus || otlp.Any)
            builder.AddOpenTelemetry(prometheus, otlp, toNewRelic);
        if (newRelic is { Verbose: true } && toNewRelic.Count > 0)
            LoggedExport.Register(builder.Services);
        AddApplicationLog(builder.Logging, log);
    }

    internal static IServiceCollection AddMirrorMetrics(this IServiceCollection services)
    {
        services.AddMetrics().AddSingleton<MirrorMeter>();
        foreach (var metrics in AllMetrics)
            services.AddSingleton(metrics);
        return services;
    }

    /// <summary>The store, with its calls timed where metrics are kept: a command that runs beside the server keeps none.</summary>
    public static IContentStore Timed(this IServiceProvider services, IContentStore store, string driver) =>
        services.GetService<StoreMetrics>() is { } metrics ? new TimedContentStore(store, new StorageTimer(metrics, driver)) : store;

    /// <inheritdoc cref="Timed(IServiceProvider, IContentStore, string)"/>
    public static IReferenceStore Timed(this IServiceProvider services, IReferenceStore store, string driver) =>
        services.GetService<StoreMetrics>() is { } metrics ? new TimedReferenceStore(store, new StorageTimer(metrics, driver)) : store;

    private static void AddApplicationLog(ILoggingBuilder logging, LogOptions log)
    {
        logging.ClearProviders().FilterByLiveLevel();
        logging.Services.AddSingleton<ConsoleFormatter>(services => NewFormatter(log, services.GetRequiredService<TimeProvider>()));
        // Not by AddConsole, which adds three more formatters, each with its configuration: 2 MB of an idle server's memory.
        logging.AddConsole(console =>
        {
            console.FormatterName = LogLineFormatter.FormatterName;
            console.LogToStandardErrorThreshold = LogLevel.Trace;
            // A reader of stderr that stands still must not stop the server.
            console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
            console.MaxQueueLength = MaxWaitingLines;
        });
    }

    internal static ConsoleFormatter NewFormatter(LogOptions log, TimeProvider time) => log.Formatter switch
    {
        LogFormatter.Text => new TextLogFormatter(log.Fields, log.ReportCaller, time),
        LogFormatter.Json => new JsonLogFormatter(logstash: false, log.TypedFields, log.ReportCaller, time),
        LogFormatter.Logstash => new JsonLogFormatter(logstash: true, log.TypedFields, log.ReportCaller, time),
        _ => throw new ArgumentOutOfRangeException(nameof(log)),
    };
}
