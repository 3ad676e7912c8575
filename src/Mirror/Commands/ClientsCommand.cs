using System.CommandLine;

namespace Mirror.Commands;

/// <summary><c>clients</c>: prints what to put into each client's configuration.</summary>
internal static class ClientsCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var command = new Command("clients", "Print the settings that make Docker, containerd, podman, BuildKit and k3s come here.") { file.Argument };
        command.SetAction(parsed =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            ConfigurationArgument.WriteWarnings(configuration, parsed);
            ClientSnippets.Write(configuration.Options, parsed.InvocationConfiguration.Output);
            return ExitCode.Ok;
        });
        return command;
    }
}
