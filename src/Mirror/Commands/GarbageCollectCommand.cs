using System.CommandLine;
using System.Globalization;
using Mirror.Hosting;
using Mirror.Maintenance;
using Mirror.Storage.GarbageCollection;

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
            if (storage is { S3: null, Filesystem.RootDirectory: var root } && !Directory.Exists(root))
            {
                await error.WriteLineAsync($"error: storage.filesystem.rootdirectory: the folder {root} does not exist");
                return ExitCode.Failed;
            }

            await using var stores = storage.Open();
            var progress = parsed.GetValue(quiet) ? (Action<string>?)null : output.WriteLine;
            if (await MaintenanceRegistration.CreateSweeper(stores).SweepAsync(options, progress, cancellationToken) is not { } result)
            {
                await error.WriteLineAsync("error: another garbage collection or eviction is running on this storage; try again later");
                return ExitCode.Busy;
            }
            if (progress is not null)
                Write(result, options, output);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Write(SweepResult result, SweepOptions options, TextWriter output)
    {
        output.WriteLine();
        Line($"{result.Marked} blobs marked, {result.Blobs} blobs and {result.Manifests} manifests eligible for deletion");
        if (result.Leftovers > 0)
            Line($"{result.Leftovers} temporary files of processes that died");
        Line($"{(options.DryRun ? "would free" : "freed")} {result.Bytes} bytes");

        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }
}
