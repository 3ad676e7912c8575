using System.CommandLine;
using Mirror.Configuration;
using Mirror.Hosting;

namespace Mirror.Commands;

/// <summary><c>check-config</c>: prints the configuration in force, or every mistake in it.</summary>
internal static class CheckConfigCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var translate = new Option<bool>("--translate")
        {
            Description = "Print a file of docker-registry 0.x as a config.yml of today. The secrets of the file stand in it.",
        };
        var sample = new Option<bool>("--sample")
        {
            Description = "Print a config.yml with every key, its default, its meaning and its variable; no file is read.",
        };
        var online = new Option<bool>("--online")
        {
            Description =
                "Also try the store: list, write, read and delete an object. What is wrong with it is told, and the exit code is 1.",
        };
        var command = new Command("check-config", "Print the effective configuration with secrets masked, or every mistake in it.")
        {
            file.Argument, translate, sample, online,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            if (parsed.GetValue(sample))
            {
                SampleConfiguration.Write(output);
                return ExitCode.Ok;
            }
            var translates = parsed.GetValue(translate);
            // A file that is refused needs the table most.
            var configuration = file.Load(parsed, withFiles: !translates, found =>
            {
                if (!translates && found.Old is { } old)
                    OldKeyTable.Write(old, output);
            });
            if (configuration is null)
                return ExitCode.Failed;
            if (translates && configuration.Old is null)
            {
                error.WriteLine($"error: {configuration.Source}: not a file of docker-registry 0.x, so there is nothing to translate");
                return ExitCode.Failed;
            }
            ConfigurationArgument.WriteWarnings(configuration, error);
            if (translates)
            {
                output.Write(configuration.Old!.Translation);
                return ExitCode.Ok;
            }
            foreach (var warning in SettingFiles.Warnings(configuration.Options))
                error.WriteLine($"warning: {warning}");
            EffectiveConfiguration.Write(configuration, output);
            return parsed.GetValue(online) ? await StoreTrial.RunAsync(configuration, error, cancellationToken) : ExitCode.Ok;
        });
        return command;
    }
}
