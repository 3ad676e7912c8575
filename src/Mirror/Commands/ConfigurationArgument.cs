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
        Load(parsed, Read(parsed), withFiles, found);

    /// <summary>As the other, of a file that another argument names; null: the one that the environment names.</summary>
    public MirrorConfiguration? Load(ParseResult parsed, string? path) =>
        Load(parsed, MirrorConfiguration.Load(path, environment), false, null);

    private static MirrorConfiguration? Load(
        ParseResult parsed, MirrorConfiguration configuration, bool withFiles, Action<MirrorConfiguration>? found)
    {
        found?.Invoke(configuration);
        IReadOnlyList<string> mistakes = configuration.Errors.Count > 0 || !withFiles
            ? configuration.Errors
            : [.. SettingFiles.Mistakes(configuration.Options)];
        if (mistakes.Count is 0)
            return configuration;

        var error = parsed.InvocationConfiguration.Error;
        WriteWarnings(configuration, error);
        foreach (var mistake in mistakes)
            error.WriteLine($"error: {configuration.VariableOf(mistake) ?? configuration.Source}: {mistake}");
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
