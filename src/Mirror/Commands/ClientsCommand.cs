using System.CommandLine;
using System.Net;
using Mirror.Admin;
using Mirror.Registry;
using Mirror.Web;

namespace Mirror.Commands;

/// <summary><c>clients</c>: prints the files that clients need, or asks the running server which clients came.</summary>
internal static class ClientsCommand
{
    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        var server = new AdminConnection(environment);
        Option<bool> check = new("--check")
        {
            Description = "Ask the running server which clients came in the last day, and by which name. Exit code 1: one has not come.",
        };
        Option<string[]> expect = new("--expect")
        {
            Description = "With --check: an address, or a network such as 10.1.0.0/16, from which clients should have come.",
            AllowMultipleArgumentsPerToken = true,
        };
        var command = new Command("clients", "Print the settings that make Docker, containerd, podman, BuildKit and k3s use this mirror.")
        {
            file.Argument, check, expect,
        };
        server.AddTo(command);
        var ask = server.Action((api, parsed, stop) => CheckAsync(api, parsed.GetValue(expect) ?? [], parsed, stop), file.Argument);
        command.SetAction((parsed, stop) =>
        {
            if (parsed.GetValue(check))
                return ask(parsed, stop);
            if (file.Load(parsed, server.FileOf(parsed) ?? parsed.GetValue(file.Argument)) is not { } configuration)
                return Task.FromResult(ExitCode.Failed);
            ConfigurationArgument.WriteWarnings(configuration, parsed.InvocationConfiguration.Error);
            ClientSnippets.Write(configuration.Options, parsed.InvocationConfiguration.Output);
            return Task.FromResult(ExitCode.Ok);
        });
        return command;
    }

    private static async Task<int> CheckAsync(AdminServer api, string[] expected, ParseResult parsed, CancellationToken stop)
    {
        List<(string Text, IPNetwork Network)> networks = [];
        foreach (var text in expected)
            networks.Add((text, TrustedProxies.TryParse(text)
                ?? throw new AdminServerException($"--expect {text}: an address or a network is required", ExitCode.Usage)));
        var output = parsed.InvocationConfiguration.Output;
        var answer = await api.GetAsync("clients", AdminJson.Default.ClientsAnswer, stop);
        await output.WriteLineAsync($"{"ADDRESS",-40} {"ASKED FOR",-24} {"HOW",-10} {"LAST",-17} PROGRAM");
        foreach (var client in answer.Clients)
            await output.WriteLineAsync(
                $"{client.Address,-40} {(client.Upstream.Length > 0 ? client.Upstream : "-"),-24} {client.How,-10} "
                + $"{client.Last.UtcDateTime:yyyy-MM-dd HH:mm}Z {client.Program}");
        List<string> missing =
        [
            .. answer.NotAsked.Select(upstream => $"no client asked for images of {upstream}"),
            .. from each in networks
               where !answer.Clients.Any(client => IPAddress.TryParse(client.Address, out var address) && each.Network.Contains(address))
               select $"no client came from {each.Text}",
        ];
        foreach (var line in missing)
            await output.WriteLineAsync($"missing: {line} in the last day, or since the server started");
        if (answer.Full)
            await output.WriteLineAsync("More clients came than the server keeps.");
        return missing is [] ? ExitCode.Ok : ExitCode.Failed;
    }
}
