using Microsoft.Extensions.DependencyInjection.Extensions;
using Mirror.Configuration;

namespace Mirror.Telemetry;

public static class LoggingRegistration
{
    /// <summary>The application log on stderr, as <c>registry:2</c> writes it. It takes the place of every other logger.</summary>
    /// <param name="level">The least severe that is written: <c>log.level</c>.</param>
    /// <param name="formatter"><c>log.formatter</c>.</param>
    /// <param name="fields">On every line: <c>log.fields</c>.</param>
    public static ILoggingBuilder AddMirrorLogging(
        this ILoggingBuilder logging, LogLevel level, LogFormatter formatter, IReadOnlyDictionary<string, string> fields)
    {
        logging.ClearProviders();
        logging.SetMinimumLevel(level);
        // The framework tells what we tell better: requests, and upstream requests with their URLs.
        var quiet = level > LogLevel.Warning ? level : LogLevel.Warning;
        logging.AddFilter("Microsoft", quiet).AddFilter("System", quiet).AddFilter("Polly", quiet);
        logging.Services.TryAddSingleton(TimeProvider.System);
        logging.Services.AddSingleton<ILoggerProvider>(services => new LineLoggerProvider(
            Console.OpenStandardError(), FormatOf(formatter), fields, services.GetRequiredService<TimeProvider>()));
        return logging;
    }

    internal static ILineFormat FormatOf(LogFormatter formatter) => formatter switch
    {
        LogFormatter.Text => new TextLines(),
        LogFormatter.Json => new JsonLines(logstash: false),
        LogFormatter.Logstash => new JsonLines(logstash: true),
        _ => throw new ArgumentOutOfRangeException(nameof(formatter)),
    };
}
