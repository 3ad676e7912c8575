using System.CommandLine;
using System.Security.Cryptography;
using Mirror.Hosting;
using Mirror.Storage;

namespace Mirror.Commands;

/// <summary><c>serve</c>: runs the server until it is stopped.</summary>
internal static class ServeCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var dropRoot = new Option<bool>("--drop-root")
        {
            Description = "When started as root: read key files, then run as the owner of the storage folder (user 65532 if it is empty).",
        };
        var command = new Command("serve", "Run the mirror until it is stopped.") { file.Argument, dropRoot };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.LoadForStart(parsed) is not { } configuration)
                return ExitCode.Failed;
            try
            {
                await Server.RunAsync(
                    configuration, () => file.Read(parsed), parsed.GetValue(dropRoot), cancellationToken);
                return ExitCode.Ok;
            }
            // An operator can mend these: one line says what to do. Any other exception is a fault of ours and ends with its stack trace.
            catch (Exception failure) when (failure.IsStoreFailure || failure is CryptographicException)
            {
                new FailedStart(configuration.Options.Log, parsed.InvocationConfiguration.Error).Error($"cannot start: {failure.Message}");
                return ExitCode.Failed;
            }
        });
        return command;
    }
}
