using System.CommandLine;
using System.CommandLine.Parsing;
using Mirror.Configuration;

namespace Mirror.Commands;

/// <summary>The one argument every verb takes, and how a configuration that does not hold ends it.</summary>
internal sealed class ConfigurationArgument(IReadOnlyDictionary<string, string> environment)
{
    public Argument<string?> Argument { get; } = new("config.yml")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "The configuration file; else REGISTRY_CONFIGURATION_PATH, /etc/docker/registry/config.yml, "
            + "/etc/distribution/config.yml, or a mirror of Docker Hub on localhost:5000.",
        Validators = { RefuseOptions },
    };

    /// <summary>Loads the configuration, or writes what is wrong with it and returns null.</summary>
    public MirrorConfiguration? Load(ParseResult parsed)
    {
        var configuration = MirrorConfiguration.Load(parsed.GetValue(Argument), environment);
        if (configuration.Errors.Count is 0)
            return configuration;

        WriteWarnings(configuration, parsed);
        foreach (var mistake in configuration.Errors)
            parsed.InvocationConfiguration.Error.WriteLine($"error: {mistake}");
        return null;
    }

    public static void WriteWarnings(MirrorConfiguration configuration, ParseResult parsed)
    {
        foreach (var warning in configuration.Warnings)
            parsed.InvocationConfiguration.Error.WriteLine($"warning: {warning}");
    }

    // An option that no verb knows would be taken for the file.
    private static void RefuseOptions(ArgumentResult argument)
    {
        foreach (var token in argument.Tokens.Where(token => token.Value.StartsWith('-')))
            argument.AddError($"Unrecognized option '{token.Value}'.");
    }
}
