using Mirror.Configuration;

namespace Mirror.Telemetry.Hooks;

/// <summary>Registers the services of Hooks.</summary>
public static class HooksRegistration
{
    /// <summary>Adds what <c>log.hooks</c> and <c>reporting.bugsnag</c> ask for; nothing where they ask for nothing.</summary>
    public static IServiceCollection AddLogHooks(this IServiceCollection services, LogOptions log, ReportingOptions reporting)
    {
        if (!log.Hooks.Any(hook => hook.IsUsed) && reporting.Bugsnag.ApiKey is null)
            return services;
        return services
            .AddSingleton(provider => new LogHooks(
                log, reporting, provider.GetRequiredService<HookMetrics>(), provider.GetRequiredService<TimeProvider>()))
            .AddSingleton<ILoggerProvider>(provider => provider.GetRequiredService<LogHooks>());
    }
}
