using System.CommandLine;

namespace Mirror.Commands;

/// <summary><c>check-config</c>: shows the configuration that a start would have, secrets masked.</summary>
internal static class CheckConfigCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var command = new Command("check-config", "Print the effective configuration, secrets masked, or what is wrong with it.") { file.Argument };
        command.SetAction(parsed =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            ConfigurationArgument.WriteWarnings(configuration, parsed);
            EffectiveConfiguration.Write(configuration, parsed.InvocationConfiguration.Output);
            return ExitCode.Ok;
        });
        return command;
    }
}
