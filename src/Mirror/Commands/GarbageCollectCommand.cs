using System.CommandLine;
using System.Globalization;
using Mirror.Hosting;
using Mirror.Repositories;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Commands;

/// <summary><c>garbage-collect</c>: deletes content that no repository names. Servers may run meanwhile.</summary>
internal static class GarbageCollectCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        Option<bool> dryRun = new("--dry-run", "-d") { Description = "Only report what would be deleted." };
        Option<bool> deleteUntagged = new("--delete-untagged", "-m")
        {
            Description = "Also delete manifests that no tag names, directly or through an index.",
        };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Write nothing but errors." };
        var command = new Command("garbage-collect", "Delete blobs that no manifest names. Servers may run meanwhile.")
        {
            file.Argument, dryRun, deleteUntagged, quiet,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var storage = configuration.Options.Storage;
            var options = new SweepOptions
            {
                Grace = storage.Maintenance.GarbageCollect.Grace,
                DryRun = parsed.GetValue(dryRun),
                DeleteUntagged = parsed.GetValue(deleteUntagged),
            };
            if (storage.S3 is null && !Directory.Exists(storage.Filesystem.RootDirectory))
            {
                var root = storage.Filesystem.RootDirectory;
                await error.WriteLineAsync($"error: storage.filesystem.rootdirectory: the folder {root} does not exist");
                return ExitCode.Failed;
            }

            await using var stores = storage.Open();
            var sweeper = new Sweeper(
                stores.GetRequiredKeyedService<IContentStore>(CheckedContentStore.Unchecked),
                stores.GetRequiredService<IReferenceStore>(),
                stores.GetRequiredService<ISweepStore>());
            var result = await sweeper.SweepAsync(options, parsed.GetValue(quiet) ? null : output.WriteLine, cancellationToken);
            if (result is null)
            {
                await error.WriteLineAsync("error: another garbage collection or eviction is running on this storage; try again later");
                return ExitCode.Busy;
            }
            if (!parsed.GetValue(quiet))
                Write(result, options, output);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Write(SweepResult result, SweepOptions options, TextWriter output)
    {
        output.WriteLine();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Marked} blobs marked, {result.Blobs} blobs and {result.Manifests} manifests eligible for deletion"));
        if (result.Leftovers > 0)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Leftovers} temporary files of processes that ended"));
        var freed = options.DryRun ? "would free" : "freed";
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{freed} {result.Bytes} bytes"));
    }
}
