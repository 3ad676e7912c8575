using System.CommandLine;
using Mirror.Access;

namespace Mirror.Commands;

/// <summary>
/// <c>htpasswd -Bbn USER PASSWORD</c>: prints a line for the file of <c>auth.htpasswd.path</c>, as Apache's program of that name does.
/// Images of <c>registry:2</c> had it, and their users know the call.
/// </summary>
internal static class HtpasswdCommand
{
    private const int DefaultCost = 10;

    public static Command Create()
    {
        var user = new Argument<string>("user");
        var password = new Argument<string?>("password")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "The password, with -b; otherwise it is the first line of standard input.",
        };
        var bcrypt = new Option<bool>("-B") { Description = "Use bcrypt. It is the only kind that a registry reads, and always used." };
        var onCommandLine = new Option<bool>("-b") { Description = "Take the password from the command line." };
        var fromInput = new Option<bool>("-i") { Description = "Take the password from standard input." };
        var print = new Option<bool>("-n") { Description = "Print the line. It is never written to a file." };
        var cost = new Option<int>("-C")
        {
            Description = $"The cost of bcrypt, 4 to {HtpasswdFile.MaxCost}.",
            DefaultValueFactory = _ => DefaultCost,
        };
        var command = new Command("htpasswd", "Print a user and a bcrypt hash of the password, as a line for auth.htpasswd.path.")
        {
            user, password, bcrypt, onCommandLine, fromInput, print, cost,
        };
        command.SetAction(parsed =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var name = parsed.GetValue(user)!;
            var secret = parsed.GetValue(password) ?? Console.In.ReadLine();
            if (string.IsNullOrEmpty(secret) || name is "" || name.Contains(':', StringComparison.Ordinal)
                || parsed.GetValue(cost) is < 4 or > HtpasswdFile.MaxCost)
            {
                error.WriteLine(
                    $"error: give a user name without ':', a password, and a cost from 4 to {HtpasswdFile.MaxCost}: "
                    + "htpasswd -Bbn USER PASSWORD");
                return ExitCode.Usage;
            }
            // $2y$ is what Apache's program writes; the hash is the same.
            var hash = BCrypt.Net.BCrypt.HashPassword(secret, parsed.GetValue(cost));
            output.WriteLine($"{name}:$2y${hash[4..]}");
            return ExitCode.Ok;
        });
        return command;
    }
}
