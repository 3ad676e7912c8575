using System.CommandLine;
using Mirror.Access;
using Mirror.Configuration;

namespace Mirror.Commands;

/// <summary><c>token --key private.pem --for 5m</c>: prints a token that the server verifies with <c>auth.privileged_key</c>.</summary>
internal static class TokenCommand
{
    private const string DefaultLifetime = "5m";

    public static Command Create()
    {
        var key = new Option<string>("--key", "-k") { Description = "The PEM file with the private key.", Required = true };
        var lifetime = new Option<string>("--for")
        {
            Description = "How long the token is valid: from 1s to 24h.",
            DefaultValueFactory = _ => DefaultLifetime,
        };
        var command = new Command(
            "token", $"Print a token for the owner of auth.privileged_key, who may do everything: it is the password of the user "
                + $"{PrivilegedKey.UserName}, or a Bearer token.")
        {
            key, lifetime,
        };
        command.SetAction(parsed =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            if (!GoDuration.TryParse(parsed.GetValue(lifetime)!, out var time) || time < TimeSpan.FromSeconds(1)
                || time > PrivilegedKey.MaxLifetime)
            {
                error.WriteLine($"error: --for {parsed.GetValue(lifetime)}: a duration from 1s to 24h is required, such as 5m");
                return ExitCode.Usage;
            }
            try
            {
                output.WriteLine(PrivilegedKey.Sign(parsed.GetValue(key)!, time, TimeProvider.System));
                return ExitCode.Ok;
            }
            catch (IOException failure)
            {
                error.WriteLine($"error: {failure.Message}");
                return ExitCode.Failed;
            }
        });
        return command;
    }
}
