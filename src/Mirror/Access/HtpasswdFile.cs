using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Access;

/// <summary>What a file of <c>htpasswd</c> holds: one line for each user. Only bcrypt (<c>htpasswd -B</c>) is used.</summary>
public sealed partial class HtpasswdFile
{
    /// <summary>The highest cost of bcrypt that is computed, which is also the highest that <c>htpasswd -C</c> writes. Each step doubles
    /// the time: this one takes some seconds, and 31 takes days.</summary>
    public const int MaxCost = 17;

    // Anybody can send unknown names. So they cost a quarter of a second at most, whatever the file has.
    private const int MaxCostOfUnknown = 12;

    private const int MaxNamed = 10;

    private const string Remedy = "make each line again, with bcrypt: htpasswd -Bbn USER PASSWORD";

    // How programs write the hashes that are not used.
    private static readonly (string Start, string Name)[] OtherHashes =
    [
        ("$apr1$", "MD5"), ("$1$", "MD5"), ("{SHA}", "SHA-1"), ("{SSHA}", "SHA-1"), ("$5$", "SHA-256"), ("$6$", "SHA-512"),
        ("$2", "damaged bcrypt"), ("$", "another hash"),
    ];

    private readonly Dictionary<string, string> _users = [];
    private readonly string[] _hashes = [];

    private HtpasswdFile(string[] lines)
    {
        List<(string User, string Kind)> unusable = [];
        HashSet<string> costly = [];
        foreach (var line in lines.Select(line => line.Trim()).Where(line => line is not ("" or ['#', ..])))
        {
            var colon = line.IndexOf(':');
            var (user, hash) = colon > 0 ? (line[..colon], line[(colon + 1)..]) : ("", "");
            if (BcryptHash().Match(hash) is { Success: true } bcrypt)
            {
                // The last line of a user counts.
                _users.Remove(user);
                costly.Remove(user);
                if (CostOf(hash) > MaxCost)
                    costly.Add(user);
                else
                    _users[user] = bcrypt.Groups["hash"].Value;
            }
            else
                unusable.Add((user, Array.Find(OtherHashes, other => hash.StartsWith(other.Start, StringComparison.Ordinal)).Name
                    ?? "plain text or DES"));
        }
        _hashes = [.. _users.Values.Where(hash => CostOf(hash) <= MaxCostOfUnknown)];
        if (_hashes.Length == 0 && _users.Count > 0)
            _hashes = [WithCost(_users.Values.First(), MaxCostOfUnknown)];
        Warnings =
        [
            .. unusable.Where(line => line.User.Length > 0).GroupBy(line => line.Kind, line => line.User).Select(kind =>
                $"{Named([.. kind.Distinct()])} cannot log in: the file has {kind.Key} for them, and only bcrypt is used; {Remedy}"),
            .. costly.Count > 0
                ? (string[])[$"{Named([.. costly])} cannot log in: bcrypt with a cost above {MaxCost} takes minutes to days for each "
                    + $"login, and is not computed; {Remedy}"]
                : [],
            .. unusable.Count(line => line.User.Length == 0) is > 0 and var count
                ? (string[])[$"{count} lines are ignored: they are not USER:HASH"]
                : [],
            .. _users.Count == 0 ? (string[])[$"no user can log in: no line has a user and a bcrypt hash; {Remedy}"] : [],
        ];
    }

    /// <summary>The file of a path that names a folder, as Debian's sample does: it has no users.</summary>
    private HtpasswdFile()
    {
        Warnings = ["no user can log in: this is a folder, not a file"];
    }

    /// <summary>What is wrong with the file, one line each, with the names of the users who cannot log in.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Whether any user can log in.</summary>
    public bool HasUsers => _users.Count > 0;

    /// <summary>The hash of a user's password; for an unknown user another one's with an ordinary cost, the same at each call; null in a
    /// file without users.</summary>
    public string? HashFor(string user, out bool isKnown)
    {
        isKnown = _users.TryGetValue(user, out var hash);
        return isKnown || _hashes.Length == 0 ? hash : _hashes[(uint)user.GetHashCode(StringComparison.Ordinal) % (uint)_hashes.Length];
    }

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not read the file.</exception>
    public static HtpasswdFile Read(string path) => Directory.Exists(path) ? new HtpasswdFile() : new HtpasswdFile(File.ReadAllLines(path));

    // "$2y$05$..."
    private static int CostOf(string hash) => int.Parse(hash.AsSpan(4, 2), NumberStyles.None, CultureInfo.InvariantCulture);

    private static string WithCost(string hash, int cost) => $"{hash[..4]}{cost:00}{hash[6..]}";

    private static string Named(string[] users) =>
        string.Join(", ", users.Take(MaxNamed)) + (users.Length > MaxNamed ? $" and {users.Length - MaxNamed} more" : "");

    // A hash with a cost that bcrypt does not allow does not match, so its user cannot log in. A comment may follow, as in files of nginx.
    [GeneratedRegex(@"\A(?<hash>\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53})(?::.*)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex BcryptHash();
}
