using System.CommandLine;
using System.Globalization;
using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Import;
using Mirror.Maintenance;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Spectre.Console;

namespace Mirror.Commands;

/// <summary><c>import-v1</c>: makes images of today of those of docker-registry 0.x. Servers may run meanwhile.</summary>
internal static class ImportCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        Argument<string?> path = new("PATH")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "The folder of docker-registry 0.x, with images and repositories in it; without it, the storage itself.",
        };
        Option<string?> from = new("--from")
        {
            Description = "In place of PATH: a configuration file, of today or of docker-registry 0.x, whose storage has the old images.",
        };
        Option<string> into = new("--into")
        {
            DefaultValueFactory = _ => "",
            Description = "What the new names begin with, such as local.",
        };
        Option<bool> dryRun = new("--dry-run", "-d") { Description = "Only list the images." };
        var command = new Command(
            "import-v1", "Import the images of docker-registry 0.x, which stay as they are. Servers may run meanwhile.")
        {
            path, file.Argument, from, into, dryRun,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            // With --from the only argument is the configuration.
            var (folder, own) = parsed.GetValue(from) is not null && parsed.GetValue(file.Argument) is null
                ? (null, parsed.GetValue(path))
                : (parsed.GetValue(path), parsed.GetValue(file.Argument));
            if (file.Load(parsed, own) is not { } configuration)
                return ExitCode.Failed;
            var source = Source(folder, parsed.GetValue(from), configuration.Options.Storage, environment);
            if ((source.Mistake ?? TargetMistake(configuration.Options.Storage)) is { } mistake)
            {
                await error.WriteLineAsync($"error: {mistake}");
                return ExitCode.Failed;
            }
            var options = new V1ImportOptions
            {
                Into = parsed.GetValue(into)!,
                DryRun = parsed.GetValue(dryRun),
                IsHosted = new HostedNames(configuration.Options).Contains,
            };
            await using (source.Stores)
            await using (var stores = await StoreArgument.OpenTargetAsync(configuration.Options.Storage, options.DryRun, cancellationToken))
                try
                {
                    using var import = new V1Import(source.Files!, options, stores, configuration.Options.Storage.LocalDirectory);
                    return await ImportAsync(import, options, output, error, cancellationToken);
                }
                catch (Exception failure) when (failure.IsStoreFailure)
                {
                    await error.WriteLineAsync($"error: the import stopped, and the same command continues it: {failure.Message}");
                    return ExitCode.Failed;
                }
        });
        return command;
    }

    private static async Task<int> ImportAsync(
        V1Import import, V1ImportOptions options, TextWriter output, TextWriter error, CancellationToken cancellationToken)
    {
        List<V1Outcome> outcomes = [];
        var isTerminal = output == Console.Out && !Console.IsOutputRedirected;
        if (isTerminal && !options.DryRun)
            await AnsiConsole.Progress().Columns(new SpinnerColumn(), new TaskDescriptionColumn(), new ElapsedTimeColumn())
                .StartAsync(async bars =>
                {
                    var bar = bars.AddTask("images").IsIndeterminate();
                    await using var ticks = new Timer(_ => bar.Description = SoFar(), null, TimeSpan.Zero, TimeSpan.FromSeconds(0.5))
                        .ConfigureAwait(false);
                    await RunAsync(line => AnsiConsole.WriteLine(line));
                    bar.Description = SoFar();
                });
        else
            await using (new ProgressLines(TimeProvider.System, error, SoFar))
                await RunAsync(output.WriteLine);
        var problems = outcomes.Count(outcome => outcome.Problem is not null);
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{outcomes.Count - problems} images {(options.DryRun ? "can be imported" : "are imported")}, {problems} are not"));
        return problems == 0 ? ExitCode.Ok : ExitCode.Unfinished;

        string SoFar() => string.Create(
            CultureInfo.InvariantCulture, $"{outcomes.Count} images looked at, {import.Read / 1e6:0.0} MB of layers read");

        async Task RunAsync(Action<string> write)
        {
            await foreach (var outcome in import.RunAsync(cancellationToken))
            {
                outcomes.Add(outcome);
                write(LineOf(outcome));
            }
        }
    }

    private static string LineOf(V1Outcome outcome)
    {
        var images = $"{outcome.Source} -> {outcome.Target}";
        return outcome.Problem is { } problem
            ? $"{images}: not imported: {problem}"
            : string.Create(CultureInfo.InvariantCulture,
                $"{images}: {outcome.Digest?.ToString() ?? "would be imported"}, {outcome.Layers} layers, {outcome.Bytes / 1e6:0.0} MB")
                + (outcome.WasThere ? ", was imported before" : "");
    }

    private static (IV1Files? Files, ServiceProvider? Stores, string? Mistake) Source(
        string? folder, string? from, StorageOptions own, IReadOnlyDictionary<string, string> environment)
    {
        if (folder is not null && from is not null)
            return (null, null, "PATH and --from both name the old storage; name one");
        var storage = own;
        if (from is not null)
        {
            // The variables REGISTRY_... are about the storage to import into.
            var old = MirrorConfiguration.Load(from, environment
                .Where(variable => !variable.Key.StartsWith("REGISTRY_", StringComparison.Ordinal)).ToDictionary());
            if (old.Errors.FirstOrDefault(error => old.Old is null || error.StartsWith("storage", StringComparison.Ordinal)) is { } mistake)
                return (null, null, $"{old.Source}: {mistake}");
            storage = old.Options.Storage;
        }
        if (folder is null && storage.Bucket() is not null)
        {
            var stores = storage.Open();
            return (new BucketV1Files(stores.GetRequiredService<IBucket>()), stores, null);
        }
        folder ??= storage.Filesystem.RootDirectory;
        return FolderV1Files.IsOne(folder)
            ? (new FolderV1Files(Path.GetFullPath(folder)), null, null)
            : (null, null, $"{folder} is no storage of docker-registry 0.x: it has no folders images and repositories");
    }

    // The storage may be that of docker-registry 0.x itself.
    private static string? TargetMistake(StorageOptions storage) =>
        storage.Bucket() is null && FolderV1Files.IsOne(storage.Filesystem.RootDirectory) ? null : StoreArgument.TargetMistake(storage);
}
