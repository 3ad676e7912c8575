namespace Mirror.Access;

/// <summary>A file of <c>htpasswd -B</c>: a user and a bcrypt hash a line. It is read again when it changes.</summary>
public sealed class Htpasswd(string path)
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

    private static Dictionary<string, string> Read(string[] lines)
    {
        Dictionary<string, string> users = [];
        foreach (var line in lines.Select(line => line.Trim()))
            if (line is not ['#', ..] && line.IndexOf(':') is > 0 and var colon && Bcrypt.IsHash(line[(colon + 1)..]))
                users[line[..colon]] = line[(colon + 1)..];
        return users;
    }
}
