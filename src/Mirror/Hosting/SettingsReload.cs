using Mirror.Configuration;

namespace Mirror.Hosting;

/// <summary>
/// Reads the configuration again while the server runs, and puts those settings in force that may change: <see cref="LiveOptions"/>. A
/// configuration with a mistake changes nothing.
/// </summary>
/// <param name="configuration">The configuration in force.</param>
/// <param name="read">Reads the configuration from where it came from.</param>
public sealed partial class SettingsReload(
    MirrorConfiguration configuration, Func<MirrorConfiguration> read, LiveOptions live, ILogger<SettingsReload> log)
{
    private readonly Lock _gate = new();
    // Key files that were read before this process gave up the rights of root cannot be read now; that is no news.
    private readonly string[] _known = [.. SettingFiles.Mistakes(configuration.Options)];

    /// <summary>The configuration in force.</summary>
    public MirrorConfiguration Current
    {
        get
        {
            lock (_gate)
                return configuration;
        }
    }

    /// <summary>Reads it, and writes to the log what has changed, what needs a restart, or what is wrong. Never throws.</summary>
    /// <returns>The mistakes that prevented it; none where the settings are in force.</returns>
    public IReadOnlyList<string> Run()
    {
        lock (_gate)
        {
            var next = read();
            var merged = configuration.With(next, out var changed, out var needRestart);
            string[] mistakes = next.Errors.Count > 0
                ? [.. next.Errors]
                : [.. merged.Errors.Concat(SettingFiles.Mistakes(next.Options).Except(_known))];
            foreach (var mistake in mistakes)
                LogMistake(configuration.Source, mistake);
            if (mistakes is not [])
                return mistakes;
            foreach (var warning in next.Warnings.Except(configuration.Warnings))
                LogWarning(configuration.Source, warning);
            configuration = merged;
            live.Replace(merged.Options);
            LogReloaded(
                configuration.Source,
                changed is not [] ? string.Join(", ", changed) : needRestart is [] ? "nothing" : "nothing that a running server can take");
            if (needRestart is not [])
                LogNeedRestart(string.Join(", ", needRestart));
            return [];
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "configuration: {File} is not read again, and nothing has changed: {Mistake}")]
    private partial void LogMistake(string file, string mistake);

    [LoggerMessage(Level = LogLevel.Warning, Message = "configuration: {File}: {Warning}")]
    private partial void LogWarning(string file, string warning);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "configuration: {File} was read again, and so were the files of users and certificates; changed: {Keys}")]
    private partial void LogReloaded(string file, string keys);

    [LoggerMessage(Level = LogLevel.Warning, Message = "these keys have changed, and take effect at the next start: {Keys}")]
    private partial void LogNeedRestart(string keys);
}
