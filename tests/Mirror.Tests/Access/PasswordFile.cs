using System.Text;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Access;

/// <summary>A password file with some users. The password of each is "secret".</summary>
internal static class PasswordFile
{
    internal const string Password = "secret";

    private const string Hash = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    private static readonly string[] Users = ["alice", "erin", "robot-1", "mallory"];

    /// <summary>Section <c>auth</c> with a file of these users, written into a folder.</summary>
    internal static string Section(TempFolder folder)
    {
        var path = folder.Write("htpasswd", string.Concat(Users.Select(user => $"{user}:{Hash}\n")));
        return $"auth: {{htpasswd: {{realm: registry, path: {path}}}}}\n";
    }

    /// <summary>The <c>Authorization</c> header of a user.</summary>
    internal static string Basic(string user, string password = Password) =>
        $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}"))}";
}
