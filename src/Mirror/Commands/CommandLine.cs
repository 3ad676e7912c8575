using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Mirror.Configuration.Reading;
using Mirror.Telemetry;

namespace Mirror.Commands;

/// <summary>The commands of the command line. A command of more than a few lines has its own file.</summary>
internal static class CommandLine
{
    /// <summary>Runs the command that <paramref name="args"/> name and returns the exit code (<see cref="ExitCode"/>).</summary>
    public static async Task<int> RunAsync(
        string[] args, IReadOnlyDictionary<string, string> environment, TextWriter output, TextWriter error)
    {
        var serve = ServeCommand.Create(environment);
        var root = new RootCommand("A pull-through mirror of Docker Hub, and a registry. Without a command it serves.")
        {
            serve,
            CheckConfigCommand.Create(environment),
            ClientsCommand.Create(environment),
            VerifyCommand.Create(environment),
            GarbageCollectCommand.Create(environment),
            ImportCommand.Create(environment),
            Schema1Command.Create(environment),
            CopyCommand.Create(environment),
            HealthCommand.Create(environment),
            HtpasswdCommand.Create(),
            TokenCommand.Create(),
        };
        foreach (var verb in AdminCommands.Create(environment))
            root.Subcommands.Add(verb);
        root.Action = serve.Action;
        var version = root.Options.OfType<VersionOption>().Single();
        version.Aliases.Add("-v");
        version.Action = new PrintVersion();

        // A folder is a mistake, and its message then says so.
        if (IsFileAlone(args)
            || args is [var only] && !only.StartsWith('-') && root.Subcommands.All(verb => verb.Name != only) && Path.Exists(only))
            args = [serve.Name, .. args];

        // The registry's program has this verb, and the entry point of the image passes it on.
        if (args is ["help", .. var about])
            args = [.. about, "--help"];

        RefuseUnknownOptions(root, [.. args.SkipWhile(arg => arg != "--")]);
        var parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var mistake in parsed.Errors)
                await error.WriteLineAsync(mistake.Message);
            if (args.Length > 0 && Suggestions.Nearest(root.Subcommands.Select(verb => verb.Name), args[0]) is { } verb
                && verb != args[0])
                await error.WriteLineAsync($"Did you mean: {verb}?");
            await error.WriteLineAsync("See mirror --help.");
            return ExitCode.Usage;
        }
        return await parsed.InvokeAsync(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            // The host handles signals itself; a second handler would stop it before running requests have ended.
            ProcessTerminationTimeout = null,
        });
    }

    /// <summary>Whether <paramref name="args"/> run the server.</summary>
    public static bool Serves(string[] args) => args is [] or ["serve", ..] || IsFileAlone(args);

    /// <summary>Refuses values of an option that are no patterns of repository names.</summary>
    internal static void RequirePatterns(Option option) => option.Validators.Add(given =>
    {
        foreach (var token in given.Tokens)
            if (ConfigurationArgument.IsFile(token.Value))
                given.AddError($"{option.Name} {token.Value}: this is a file; {ValueRules.RepositoryPattern.Allowed} is required.");
            else if (ValueRules.RepositoryPattern.Canonical(token.Value) is null)
                given.AddError($"{option.Name} \"{token.Value}\": {ValueRules.RepositoryPattern.Allowed} is required.");
    });

    // The image of the registry serves a configuration file that is its only argument, and compose files rely on that.
    private static bool IsFileAlone(string[] args) =>
        args is [var only] && ConfigurationArgument.HasNameOfFile(only);

    // Otherwise a verb would take an unknown option for its argument, or for the value of the option before it.
    private static void RefuseUnknownOptions(Command command, HashSet<string> plain)
    {
        foreach (var argument in command.Arguments)
            argument.Validators.Add(result => Refuse(result, "-"));
        foreach (var option in command.Options)
            option.Validators.Add(result => Refuse(result, "--"));
        foreach (var verb in command.Subcommands)
            RefuseUnknownOptions(verb, plain);

        void Refuse(SymbolResult result, string begin)
        {
            foreach (var token in result.Tokens.Where(
                token => token.Value.Length > 1 && token.Value.StartsWith(begin, StringComparison.Ordinal) && !plain.Contains(token.Value)))
                result.AddError(
                    $"Unrecognized option '{token.Value.Split('=')[0]}'. An argument that begins with - goes to the end, after --.");
        }
    }

    private sealed class PrintVersion : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            parseResult.InvocationConfiguration.Output.WriteLine($"mirror {Build.Version}");
            return ExitCode.Ok;
        }
    }
}
