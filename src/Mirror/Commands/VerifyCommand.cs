using System.CommandLine;
using Mirror.Hosting;
using Mirror.Maintenance;

namespace Mirror.Commands;

/// <summary><c>verify</c>: reads the whole store and reports damaged content.</summary>
internal static class VerifyCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var repair = new Option<bool>("--repair")
        {
            Description = "Delete damaged content: mirrored content is fetched again, hosted images that need it are listed.",
        };
        var command = new Command("verify", "Hash all stored content and report damage; ends with 1 if damage remains. Servers may run.")
        {
            file.Argument, repair,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            var storage = configuration.Options.Storage;
            await using var stores = storage.Open();
            var verifier = ActivatorUtilities.CreateInstance<StoreVerifier>(stores, configuration.Options);
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            return await verifier.RunAsync(parsed.GetValue(repair), output, error, cancellationToken) ? ExitCode.Ok : ExitCode.Failed;
        });
        return command;
    }
}
