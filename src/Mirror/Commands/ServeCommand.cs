using System.CommandLine;
using Mirror.Hosting;

namespace Mirror.Commands;

/// <summary><c>serve</c>: runs the registry until it is stopped.</summary>
internal static class ServeCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var command = new Command("serve", "Run the mirror until it is stopped.") { file.Argument };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            await Server.RunAsync(configuration.Options, configuration.Warnings, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }
}
