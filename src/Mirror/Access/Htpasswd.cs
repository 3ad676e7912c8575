using System.Text.RegularExpressions;

namespace Mirror.Access;

/// <summary>A file of <c>htpasswd -B</c>: one line for each user, with a bcrypt hash. It is read again when it changes.</summary>
public sealed partial class Htpasswd(string path)
{
    private readonly Lock _gate = new();
    private DateTime _readAt;
    private Dictionary<string, string> _users = [];

    /// <summary>The hash of a user's password; null where there is no such user.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public string? HashOf(string user)
    {
        lock (_gate)
        {
            var written = File.GetLastWriteTimeUtc(path);
            if (written != _readAt)
                (_users, _readAt) = (Read(File.ReadAllLines(path)), written);
            return _users.GetValueOrDefault(user);
        }
    }

    /// <summary>Whether a password belongs to a hash that <see cref="HashOf"/> returned. Takes tens of milliseconds on purpose.</summary>
    /// <param name="password">bcrypt uses the first 72 bytes of its UTF-8. A password with a NUL is never right.</param>
    public static bool Verify(string password, string hash) =>
        !password.Contains('\0', StringComparison.Ordinal) && BCrypt.Net.BCrypt.Verify(password, hash);

    private static Dictionary<string, string> Read(string[] lines)
    {
        Dictionary<string, string> users = [];
        foreach (var line in lines.Select(line => line.Trim()))
            if (line is not ['#', ..] && line.IndexOf(':') is > 0 and var colon && BcryptHash().IsMatch(line[(colon + 1)..]))
                users[line[..colon]] = line[(colon + 1)..];
        return users;
    }

    // Other hashes, and a cost that bcrypt does not have, are no entry: the user is unknown.
    [GeneratedRegex(@"\A\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}\z", RegexOptions.CultureInvariant)]
    private static partial Regex BcryptHash();
}
