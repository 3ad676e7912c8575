using System.CommandLine;
using Mirror.Configuration;
using Mirror.Copying;
using Mirror.Hosting;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Disk;

namespace Mirror.Commands;

/// <summary><c>copy</c>: copies a registry from one store to another. The server of the first one may run.</summary>
internal static class CopyCommand
{
    private const int MaxAtOnce = 64;

    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        Option<string?> from = new("--from")
        {
            Description = "The configuration file whose storage is copied; without it, the configuration that a server here would use.",
        };
        Option<string> to = new("--to") { Required = true, Description = "The configuration file whose storage gets the copy." };
        Option<string?> repositories = new("--repositories")
        {
            Description = "Only the repositories whose names match, such as local/**; else all.",
        };
        Option<int> parallel = new("--parallel")
        {
            DefaultValueFactory = _ => 4,
            Description = $"How many blobs are copied at a time: 1 to {MaxAtOnce}, and 4 by default.",
        };
        parallel.Validators.Add(given =>
        {
            if (given.Tokens is [var token] && !(int.TryParse(token.Value, out var count) && count is >= 1 and <= MaxAtOnce))
                given.AddError($"--parallel is a number from 1 to {MaxAtOnce}.");
        });
        CommandLine.RequirePatterns(repositories);
        Option<bool> dryRun = new("--dry-run", "-d") { Description = "Only say how much there is to copy." };
        var command = new Command(
            "copy", "Copy a registry to another store. Its server may run, and the same command continues a copy that was interrupted.")
        {
            from, to, repositories, parallel, dryRun,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            // The variables REGISTRY_... are about one store, and a file that is named here says which store it means.
            Dictionary<string, string> plain = environment
                .Where(variable => !variable.Key.StartsWith("REGISTRY_", StringComparison.Ordinal)).ToDictionary();
            var source = parsed.GetValue(from) is { } named
                ? new ConfigurationArgument(plain).Load(parsed, named)
                : file.Load(parsed, null);
            var target = source is null ? null : new ConfigurationArgument(plain).Load(parsed, parsed.GetValue(to));
            if (source is null || target is null)
                return ExitCode.Failed;
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            if (Mistake(source.Options.Storage, target.Options.Storage) is { } mistake)
            {
                await error.WriteLineAsync($"error: {mistake}");
                return ExitCode.Failed;
            }
            await using var read = source.Options.Storage.Open();
            await using var written = await StoreArgument.OpenTargetAsync(
                target.Options.Storage, parsed.GetValue(dryRun), cancellationToken);
            StoreArgument.WarnOfUnreadable(read, error);
            var pattern = parsed.GetValue(repositories) is { } text ? new NamePattern(text) : null;
            var isAnyCopied = false;
            using var copy = new RegistryCopy(
                CopyStore.Of(read), CopyStore.Of(written), IsCopied, parsed.GetValue(dryRun), parsed.GetValue(parallel));
            var code = await RunAsync(copy, read, parsed, cancellationToken);
            if (code != ExitCode.Ok || pattern is null || isAnyCopied)
                return code;
            await error.WriteLineAsync($"warning: no repository matches {parsed.GetValue(repositories)}");
            return ExitCode.Unfinished;

            bool IsCopied(RepositoryName name)
            {
                var isCopied = pattern?.IsMatch(name.ToString()) != false;
                isAnyCopied |= isCopied;
                return isCopied;
            }
        });
        return command;

        async Task<int> RunAsync(RegistryCopy copy, IServiceProvider read, ParseResult parsed, CancellationToken cancellationToken)
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var isDryRun = parsed.GetValue(dryRun);
            try
            {
                await new CommandProgress(() => copy.Progress, () => copy.Share).RunAsync(TimeProvider.System, output, error, async _ =>
                {
                    // First, so that a mistyped source makes no container at the destination.
                    if (read.GetService<IBucket>() is { } source)
                        await source.CheckAsync(cancellationToken);
                    await copy.RunAsync(cancellationToken);
                    return true;
                });
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                await output.WriteLineAsync($"{copy.Progress} were copied");
                await error.WriteLineAsync($"error: the copy stopped, and the same command continues it: {failure.Message}");
                return ExitCode.Failed;
            }
            foreach (var problem in copy.Problems)
                await output.WriteLineAsync($"not copied: {problem}");
            await output.WriteLineAsync($"{copy.Progress} {(isDryRun ? "would be" : "were")} copied; {copy.Problems.Count} problems");
            if (read.GetService<UnreadableFolders>()?.Any is { } unreadable)
                await error.WriteLineAsync($"error: what is in {unreadable} was not copied: this user may not read it");
            else if (copy.Problems.Count == 0)
                return ExitCode.Ok;
            return ExitCode.Unfinished;
        }
    }

    private static string? Mistake(StorageOptions source, StorageOptions target)
    {
        if (StoreArgument.Mistake(source) is { } mistake)
            return $"--from: {mistake}";
        if (StoreArgument.TargetMistake(target) is { } other)
            return $"--to: {other}";
        return Identity(source) == Identity(target) ? $"--from and --to name the same storage, {source.Location}" : null;
    }

    private static string Identity(StorageOptions storage) =>
        storage.Bucket()?.Identity ?? Path.TrimEndingDirectorySeparator(Path.GetFullPath(storage.Filesystem.RootDirectory));
}
