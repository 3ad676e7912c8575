using System.CommandLine;
using System.Globalization;
using Mirror.Maintenance;
using Mirror.PullThrough;
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
            Description = "Give up images in repositories that are no longer hosted, or have no upstream any longer: a name or a pattern.",
        };
        CommandLine.RequirePatterns(release);
        Option<bool> withoutRepositories = new("--without-repositories")
        {
            Description = "Go on where the store has no repository at all, and delete all its blobs. Without this the command stops there.",
        };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Write nothing but errors." };
        var command = new Command("garbage-collect", "Delete blobs that no manifest names. Servers may run meanwhile.")
        {
            file.Argument, dryRun, deleteUntagged, release, withoutRepositories, quiet,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var storage = configuration.Options.Storage;
            var (hosted, upstreams) = (new HostedNames(configuration.Options), UpstreamNames.Of(configuration.Options.Proxy));
            var released = (parsed.GetValue(release) ?? []).Distinct().ToDictionary(text => text, text => new NamePattern(text));
            HashSet<string> unmatched = [.. released.Keys];
            var options = new SweepOptions
            {
                Grace = storage.Maintenance.GarbageCollect.Grace,
                DryRun = parsed.GetValue(dryRun),
                DeleteUntagged = parsed.GetValue(deleteUntagged),
                CountUntagged = true,
                IsWithoutRepositories = parsed.GetValue(withoutRepositories),
                IsHosted = hosted.Contains,
                IsMirrored = name => upstreams.Find(name) is not null,
                IsReleased = IsReleased,
            };
            await using var stores = await StoreArgument.OpenAsync(storage, error);
            if (stores is null)
                return ExitCode.Failed;
            try
            {
                var former = MaintenanceRegistration.FormerUpstreams(stores, upstreams);
                await former.ReadAsync(cancellationToken);
                var code = await CollectAsync(stores, former, options, parsed.GetValue(quiet) ? null : output, error, cancellationToken);
                if (code is not (ExitCode.Ok or ExitCode.Orphaned) || unmatched.Count == 0)
                    return code;
                foreach (var pattern in unmatched)
                    await error.WriteLineAsync(
                        $"warning: --release {pattern} gave up nothing: no repository matches it, or clients may push to those that match, "
                        + "or they have an upstream");
                return code is ExitCode.Ok ? ExitCode.Unfinished : code;
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                await error.WriteLineAsync($"error: the garbage collection stopped: {failure.Message}");
                return ExitCode.Failed;
            }

            bool IsReleased(RepositoryName name)
            {
                var matching = released.Where(pattern => pattern.Value.IsMatch(name.ToString())).Select(pattern => pattern.Key).ToList();
                unmatched.ExceptWith(matching);
                return matching.Count > 0;
            }
        });
        return command;
    }

    /// <param name="output">Null where only errors are to be written.</param>
    private static async Task<int> CollectAsync(
        IServiceProvider stores, FormerUpstreams former, SweepOptions options, TextWriter? output, TextWriter error,
        CancellationToken cancellationToken)
    {
        var sweeper = MaintenanceRegistration.CreateSweeper(stores);
        // How many blobs there are is not known before they were looked at.
        var result = output is null
            ? await sweeper.SweepAsync(options, null, cancellationToken)
            : await new CommandProgress(() => SoFar(options.Progress), () => null).RunAsync(
                stores.GetRequiredService<TimeProvider>(), output, error,
                lines => sweeper.SweepAsync(options, lines.WriteLine, cancellationToken));
        if (result is null)
        {
            await error.WriteLineAsync("error: another garbage collection is running on this storage; try again later");
            return ExitCode.Busy;
        }
        if (output is not null)
            Write(result, options, output);
        if (!options.DryRun)
            await former.ForgetAsync([.. result.Orphans.Select(orphan => orphan.Name)], cancellationToken);
        foreach (var problem in result.Problems)
            await error.WriteLineAsync($"error: {problem}: see what verify says, and push the image again or delete it");
        if (result.Orphans is [])
            return result.Problems.Count == 0 ? ExitCode.Ok : ExitCode.Failed;
        await error.WriteLineAsync(
            $"error: {result.Orphans.Count} repositories have images that were kept, because no setting says where they come from: "
            + "clients pushed them and hosted.repositories does not match the name (any longer), or no upstream is configured for the name "
            + "(any longer). Add a pattern to hosted.repositories or the upstream to proxy.upstreams, or give the images up with "
            + "--release NAME:");
        foreach (var (name, isPushed) in result.Orphans)
            await error.WriteLineAsync($"  {name} ({(isPushed ? "pushed" : "no upstream")})");
        return ExitCode.Orphaned;
    }

    /// <summary>What has been done, in words.</summary>
    internal static string SoFar(SweepProgress progress) =>
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
