using System.CommandLine;
using System.Globalization;
using Mirror.Hosting;
using Mirror.Maintenance;
using Mirror.Repositories;
using Mirror.Storage;
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
        Option<string[]> release = new("--release")
        {
            Description = "Give up the images pushed to repositories that hosted.repositories no longer matches: a name or a pattern.",
        };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Write nothing but errors." };
        var command = new Command("garbage-collect", "Delete blobs that no manifest names. Servers may run meanwhile.")
        {
            file.Argument, dryRun, deleteUntagged, release, quiet,
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
                CountUntagged = true,
                IsHosted = new HostedNames(configuration.Options).Contains,
            };
            if (StoreArgument.Mistake(storage) is { } mistake)
            {
                await error.WriteLineAsync($"error: {mistake}");
                return ExitCode.Failed;
            }

            await using var stores = storage.Open();
            StoreArgument.WarnOfUnreadable(stores, error);
            try
            {
                return await CollectAsync(
                    stores, options, parsed.GetValue(release) ?? [], parsed.GetValue(quiet) ? null : output, error, cancellationToken);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                await error.WriteLineAsync($"error: the garbage collection stopped: {failure.Message}");
                return ExitCode.Failed;
            }
        });
        return command;
    }

    /// <param name="output">Null where only errors are to be written.</param>
    private static async Task<int> CollectAsync(
        IServiceProvider stores, SweepOptions options, string[] release, TextWriter? output, TextWriter error,
        CancellationToken cancellationToken)
    {
        await using var lines = output is null
            ? null
            : new ProgressLines(stores.GetRequiredService<TimeProvider>(), error, () => SoFar(options.Progress));
        var orphans = await ReleaseAsync(
            MaintenanceRegistration.CreateOrphans(stores), options, release, output ?? TextWriter.Null, cancellationToken);
        var result = await MaintenanceRegistration.CreateSweeper(stores)
            .SweepAsync(options, output is null ? null : output.WriteLine, cancellationToken);
        if (result is null)
        {
            await error.WriteLineAsync("error: another garbage collection or eviction is running on this storage; try again later");
            return ExitCode.Busy;
        }
        if (output is not null)
            Write(result, options, output);
        if (orphans.Count == 0)
            return ExitCode.Ok;
        await error.WriteLineAsync(
            $"error: {orphans.Count} repositories have images that were pushed here, but hosted.repositories does not match their names "
            + "(any longer). They were kept. Add a pattern to hosted.repositories, or give the images up with --release NAME:");
        foreach (var name in orphans)
            await error.WriteLineAsync($"  {name}");
        return ExitCode.Orphaned;
    }

    /// <summary>Gives up the orphaned repositories that a pattern matches, and returns the others.</summary>
    private static async Task<List<RepositoryName>> ReleaseAsync(
        Orphans orphans, SweepOptions options, string[] patterns, TextWriter output, CancellationToken cancellationToken)
    {
        NamePattern[] released = [.. patterns.Select(pattern => new NamePattern(pattern))];
        List<RepositoryName> kept = [];
        foreach (var name in await orphans.ListAsync(options.IsHosted, cancellationToken).ToListAsync(cancellationToken))
        {
            if (!NamePattern.AnyMatches(released, name.ToString()))
            {
                kept.Add(name);
                continue;
            }
            await output.WriteLineAsync($"{name}: {(options.DryRun ? "would release" : "released")} what was pushed");
            if (!options.DryRun)
                await orphans.ReleaseAsync(name, cancellationToken);
        }
        return kept;
    }

    private static string SoFar(SweepProgress progress) =>
        progress.Blobs == 0
            ? $"{progress.Repositories} repositories read, {progress.Marked} blobs marked"
            : $"{progress.Marked} blobs marked, {progress.Blobs} stored blobs looked at";

    private static void Write(SweepResult result, SweepOptions options, TextWriter output)
    {
        output.WriteLine();
        Line($"{result.Marked} blobs marked, {result.Blobs} blobs and {result.Manifests} manifests eligible for deletion");
        if (result.Young + result.YoungManifests > 0)
            Line($"the grace of {options.Grace} keeps {result.Young} blobs ({result.YoungBytes} bytes), {result.YoungManifests} manifests");
        if (!options.DeleteUntagged && result.Untagged > 0)
            Line($"{result.Untagged} manifests that no tag names were kept; -m (--delete-untagged) deletes them");
        if (result.Leftovers > 0)
            Line($"{result.Leftovers} temporary files of processes that died");
        Line($"{(options.DryRun ? "would free" : "freed")} {result.Bytes} bytes");

        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }
}
