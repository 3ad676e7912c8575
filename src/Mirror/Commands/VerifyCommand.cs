using System.CommandLine;
using Mirror.Maintenance;
using Mirror.Storage;
using Mirror.Storage.Disk;

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
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            await using var stores = await StoreArgument.OpenAsync(configuration.Options.Storage, error);
            if (stores is null)
                return ExitCode.Failed;
            // A repair is a sweep, which forgets the folders that were found before it.
            string? unreadable = null;
            stores.GetService<UnreadableFolders>()?.Found += folder => unreadable ??= folder;
            var verifier = ActivatorUtilities.CreateInstance<StoreVerifier>(stores, configuration.Options);
            try
            {
                using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                var measured = Task.Run(() => verifier.CountBytesAsync(ended.Token), ended.Token);
                var isWhole = await new CommandProgress(() => verifier.Progress, () => verifier.Share).RunAsync(
                    stores.GetRequiredService<TimeProvider>(), output, error,
                    lines => verifier.RunAsync(parsed.GetValue(repair), lines, TextWriter.Null, cancellationToken));
                await ended.CancelAsync();
                await measured.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (unreadable is null)
                    return isWhole ? ExitCode.Ok : ExitCode.Failed;
                await error.WriteLineAsync($"error: what is in {unreadable} was not verified: this user may not read it");
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                await error.WriteLineAsync($"error: the verification stopped: {failure.Message}");
            }
            return ExitCode.Failed;
        });
        return command;
    }
}
