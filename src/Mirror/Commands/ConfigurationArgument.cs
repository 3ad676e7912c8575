using System.CommandLine;
using System.CommandLine.Parsing;
using Mirror.Configuration;

namespace Mirror.Commands;

/// <summary>The argument that every verb takes: the configuration file.</summary>
internal sealed class ConfigurationArgument(IReadOnlyDictionary<string, string> environment)
{
    public Argument<string?> Argument { get; } = new("config.yml")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "The configuration file; else the one that REGISTRY_CONFIGURATION_PATH names, or a mirror of Docker Hub on "
            + "localhost:5000.",
        Validators = { RefuseOptions },
    };

    /// <summary>Loads the configuration, or writes its mistakes to stderr and returns null.</summary>
    public MirrorConfiguration? Load(ParseResult parsed)
    {
        var configuration = MirrorConfiguration.Load(parsed.GetValue(Argument), environment);
        if (configuration.Errors.Count is 0)
            return configuration;

        var error = parsed.InvocationConfiguration.Error;
        WriteWarnings(configuration, error);
        foreach (var mistake in configuration.Errors)
            error.WriteLine($"error: {configuration.Source}: {mistake}");
        return null;
    }

    public static void WriteWarnings(MirrorConfiguration configuration, TextWriter error)
    {
        foreach (var warning in configuration.Warnings)
            error.WriteLine($"warning: {warning}");
    }

    // Otherwise an option that the verb does not know would be taken for the file.
    private static void RefuseOptions(ArgumentResult argument)
    {
        foreach (var token in argument.Tokens.Where(token => token.Value.StartsWith('-')))
            argument.AddError($"Unrecognized option '{token.Value}'.");
    }
}
