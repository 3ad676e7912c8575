using System.CommandLine;
using System.CommandLine.Invocation;
using System.Reflection;

namespace Mirror.Commands;

/// <summary>The verbs, and what the process ends with.</summary>
internal static class CommandLine
{
    /// <summary>Does what <paramref name="args"/> ask and returns the exit code (<see cref="ExitCode"/>).</summary>
    public static async Task<int> RunAsync(string[] args, IReadOnlyDictionary<string, string> environment, TextWriter output, TextWriter error)
    {
        var serve = ServeCommand.Create(environment);
        var root = new RootCommand("A pull-through mirror of Docker Hub, and a registry. Without a verb it serves.")
        {
            serve,
            CheckConfigCommand.Create(environment),
            ClientsCommand.Create(environment),
            VerifyCommand.Create(environment),
            GarbageCollectCommand.Create(environment),
        };
        root.Action = serve.Action;
        var version = root.Options.OfType<VersionOption>().Single();
        version.Aliases.Add("-v");
        version.Action = new PrintVersion();

        // The registry's image takes a configuration file alone as its command and serves it; compose files rely on that.
        if (args is [var only] && (only.EndsWith(".yml", StringComparison.Ordinal) || only.EndsWith(".yaml", StringComparison.Ordinal)))
            args = [serve.Name, only];

        var parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var mistake in parsed.Errors)
                await error.WriteLineAsync(mistake.Message);
            await error.WriteLineAsync("See mirror --help.");
            return ExitCode.Usage;
        }
        return await parsed.InvokeAsync(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            // The host answers signals itself; a second handler would cut its draining short.
            ProcessTerminationTimeout = null,
        });
    }

    private sealed class PrintVersion : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var version = typeof(CommandLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
            parseResult.InvocationConfiguration.Output.WriteLine($"mirror {version}");
            return ExitCode.Ok;
        }
    }
}
