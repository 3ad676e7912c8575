using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mirror.Configuration;
using Mirror.Telemetry;
using Xunit;

namespace Mirror.Tests.Configuration;

/// <summary>Settings that change while the server runs.</summary>
public sealed class LiveOptionsTests
{
    [Fact]
    public async Task The_log_level_may_change_while_the_server_runs()
    {
        await using var services = new ServiceCollection()
            .AddLogging(logging => logging.FilterByLiveLevel().Services.AddSingleton<ILoggerProvider>(new AnyLine()))
            .AddMirrorOptions(new MirrorOptions { Log = { Level = LogLevel.Warning } })
            .BuildServiceProvider();
        var loggers = services.GetRequiredService<ILoggerFactory>();
        var (ours, framework) = (loggers.CreateLogger("Mirror.Registry"), loggers.CreateLogger("Microsoft.AspNetCore.Hosting"));
        Assert.Equal((true, false), (ours.IsEnabled(LogLevel.Warning), ours.IsEnabled(LogLevel.Information)));

        services.GetRequiredService<LiveOptions>().Replace(new MirrorOptions { Log = { Level = LogLevel.Debug } });

        Assert.Equal((true, false), (ours.IsEnabled(LogLevel.Debug), ours.IsEnabled(LogLevel.Trace)));
        Assert.Equal((true, false), (framework.IsEnabled(LogLevel.Warning), framework.IsEnabled(LogLevel.Information)));
    }

    private sealed class AnyLine : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
        }

        public void Dispose()
        {
        }
    }
}
