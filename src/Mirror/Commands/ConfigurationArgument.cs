using System.CommandLine;
using Mirror.Configuration;
using Mirror.Hosting;

namespace Mirror.Commands;

/// <summary>The argument that every command takes: the configuration file.</summary>
internal sealed class ConfigurationArgument(IReadOnlyDictionary<string, string> environment)
{
    public Argument<string?> Argument { get; } = new("config.yml")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "The configuration file; else the one that DOCKER_REGISTRY_CONFIG or REGISTRY_CONFIGURATION_PATH "
            + "names, or a mirror of Docker Hub on localhost:5000.",
        // An unset variable of a script must not choose another configuration.
        Validators =
        {
            given =>
            {
                if (given.Tokens is [{ Value: "" }])
                    given.AddError("The name of the configuration file is empty.");
            },
        },
    };

    /// <summary>Whether a text names a configuration file. If the user forgets the value before it, the file takes that place.</summary>
    public static bool IsFile(string text) => HasNameOfFile(text) && File.Exists(text);

    /// <summary>Whether a text ends as the names of configuration files do.</summary>
    public static bool HasNameOfFile(string text) =>
        text.EndsWith(".yml", StringComparison.Ordinal) || text.EndsWith(".yaml", StringComparison.Ordinal);

    /// <summary>Loads the configuration, or writes its mistakes to stderr and returns null.</summary>
    /// <param name="withFiles">Whether a mistake in a file that a setting names, such as a certificate, is a mistake too.</param>
    /// <param name="found">Is given the configuration first, also where it has mistakes.</param>
    public MirrorConfiguration? Load(ParseResult parsed, bool withFiles = false, Action<MirrorConfiguration>? found = null) =>
        Load(parsed, Read(parsed), withFiles, found, new LogOptions());

    /// <summary>As the other with files, for the start of the server: the mistakes are lines of its log, if that is JSON.</summary>
    public MirrorConfiguration? LoadForStart(ParseResult parsed)
    {
        var configuration = Read(parsed);
        return Load(parsed, configuration, withFiles: true, null, configuration.Options.Log);
    }

    /// <summary>As the other, of a file that another argument names; null: the one that the environment names.</summary>
    public MirrorConfiguration? Load(ParseResult parsed, string? path) =>
        Load(parsed, MirrorConfiguration.Load(path, environment), false, null, new LogOptions());

    private static MirrorConfiguration? Load(
        ParseResult parsed, MirrorConfiguration configuration, bool withFiles, Action<MirrorConfiguration>? found, LogOptions log)
    {
        found?.Invoke(configuration);
        IReadOnlyList<string> mistakes = configuration.Errors.Count > 0 || !withFiles
            ? configuration.Errors
            : [.. SettingFiles.Mistakes(configuration.Options)];
        if (mistakes.Count is 0)
            return configuration;

        FailedStart lines = new(log, parsed.InvocationConfiguration.Error);
        foreach (var warning in configuration.Warnings)
            lines.Warning(warning);
        foreach (var mistake in mistakes)
            lines.Error($"{configuration.VariableOf(mistake) ?? configuration.Source}: {mistake}");
        return null;
    }

    /// <summary>Reads the configuration, with its mistakes.</summary>
    public MirrorConfiguration Read(ParseResult parsed) => MirrorConfiguration.Load(parsed.GetValue(Argument), environment);

    public static void WriteWarnings(MirrorConfiguration configuration, TextWriter error)
    {
        foreach (var warning in configuration.Warnings)
            error.WriteLine($"warning: {warning}");
    }
}
