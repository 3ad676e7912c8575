using System.CommandLine;
using System.Globalization;
using Mirror.Hosting;
using Mirror.Repositories;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Commands;

/// <summary><c>garbage-collect</c>: removes what nothing names, beside a server that may be serving.</summary>
internal static class GarbageCollectCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        Option<bool> dryRun = new("--dry-run", "-d") { Description = "Only say what would be deleted." };
        Option<bool> deleteUntagged = new("--delete-untagged", "-m") { Description = "Also delete manifests that no tag names, directly or through an index." };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Say nothing but errors." };
        var command = new Command("garbage-collect", "Delete what no manifest names; a server may go on serving.") { file.Argument, dryRun, deleteUntagged, quiet };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var storage = configuration.Options.Storage;
            var settings = storage.Maintenance.GarbageCollect;
            var options = new SweepOptions { Grace = settings.Grace, DryRun = parsed.GetValue(dryRun), DeleteUntagged = parsed.GetValue(deleteUntagged) };
            if (storage.S3 is null && !Directory.Exists(storage.Filesystem.RootDirectory))
            {
                await error.WriteLineAsync($"error: storage.filesystem.rootdirectory: there is no folder {storage.Filesystem.RootDirectory}");
                return ExitCode.Failed;
            }

            await using var stores = storage.Open();
            var sweeper = new Sweeper(
                stores.GetRequiredKeyedService<IContentStore>(CheckedContentStore.Unchecked), stores.GetRequiredService<IReferenceStore>(), stores.GetRequiredService<ISweepStore>());
            var result = await sweeper.SweepAsync(options, parsed.GetValue(quiet) ? null : output.WriteLine, cancellationToken);
            if (result is null)
            {
                await error.WriteLineAsync("error: another garbage collection is running on this storage, or room is being made there");
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
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{result.Marked} blobs marked, {result.Blobs} blobs and {result.Manifests} manifests eligible for deletion"));
        if (result.Leftovers > 0)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Leftovers} unfinished files of processes that ended"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(options.DryRun ? "would free" : "freed")} {result.Bytes} bytes"));
    }
}
