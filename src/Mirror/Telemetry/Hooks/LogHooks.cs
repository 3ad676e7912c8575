using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Configuration;

namespace Mirror.Telemetry.Hooks;

/// <summary>Gives each line of the log to the hooks that want its level. No line waits for them.</summary>
[ProviderAlias("Hooks")]
public sealed class LogHooks : ILoggerProvider, IAsyncDisposable
{
    // The lines of the hooks themselves would come back without end.
    private static readonly string OwnCategories = typeof(LogHooks).Namespace!;

    private readonly List<(HashSet<LogLevel> Levels, HookQueue Queue)> _hooks;
    private readonly LogLineFields _fields;
    private readonly TimeProvider _time;
    private bool _isDisposed;

    public LogHooks(LogOptions log, ReportingOptions reporting, HookMetrics metrics, TimeProvider time)
    {
        (_fields, _time) = (new(log.TypedFields, log.ReportCaller), time);
        _hooks = [.. log.Hooks.Where(hook => hook.IsUsed).Select(
            hook => (hook.Levels.Select(LevelOf).ToHashSet(), QueueOf(new MailHook(hook.Options))))];
        if (reporting.Bugsnag.ApiKey is not null)
            _hooks.Add(([LogLevel.Error, LogLevel.Critical], QueueOf(new BugsnagHook(reporting.Bugsnag))));
        AppDomain.CurrentDomain.UnhandledException += EndedUnhandled;

        HookQueue QueueOf(IHookTarget target) => new(target, metrics, time, () => Log);
    }

    /// <summary>The log for failures of the hooks. It is made after this, which is a part of it.</summary>
    public ILogger Log { get; set; } = NullLogger.Instance;

    public ILogger CreateLogger(string categoryName) =>
        categoryName.StartsWith(OwnCategories, StringComparison.Ordinal) ? NullLogger.Instance : new Logger(this, categoryName);

    /// <summary>Tells the hooks for <c>fatal</c> and <c>panic</c> what ends the process.</summary>
    public void Ended(Exception failure) => Add(
        LogLevel.Critical, $"the server ends: {failure.Message}", [KeyValuePair.Create("error", (object)failure.ToString())], failure);

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>Sends what waits, for a few seconds at most. The container knows this under two names, and disposes it twice.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        AppDomain.CurrentDomain.UnhandledException -= EndedUnhandled;
        await Task.WhenAll(_hooks.Select(hook => hook.Queue.DisposeAsync().AsTask()));
    }

    // registry:2 takes a word that it does not know for panic. Panic and fatal are one level here.
    private static LogLevel LevelOf(string word) => word.ToUpperInvariant() switch
    {
        "ERROR" => LogLevel.Error,
        "WARN" or "WARNING" => LogLevel.Warning,
        "INFO" => LogLevel.Information,
        "DEBUG" => LogLevel.Debug,
        _ => LogLevel.Critical,
    };

    private void EndedUnhandled(object sender, UnhandledExceptionEventArgs e)
    {
        if (e.ExceptionObject is not Exception failure)
            return;
        Ended(failure);
        Dispose();
    }

    private bool Wants(LogLevel level) => _hooks.Exists(hook => hook.Levels.Contains(level));

    private void Add(LogLevel level, string message, IEnumerable<KeyValuePair<string, object>> fields, Exception? exception)
    {
        if (!Wants(level))
            return;
        var line = new HookLine(_time.GetUtcNow(), level, message, fields) { Exception = exception };
        foreach (var (levels, queue) in _hooks)
            if (levels.Contains(level))
                queue.Add(line);
    }

    private sealed class Logger(LogHooks hooks, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => hooks.Wants(logLevel);

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                hooks.Add(
                    logLevel, formatter(state, exception),
                    hooks._fields.Of(new LogEntry<TState>(logLevel, category, eventId, state, exception, formatter)), exception);
        }
    }
}
