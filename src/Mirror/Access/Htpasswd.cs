using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// The users of <c>auth.htpasswd.path</c>. The file is read again when it changes, and after a reload. While it is missing or cannot be
/// read, the users that were read last may log in. The log says so, and that a file has no users, once a minute.
/// </summary>
public sealed partial class Htpasswd
{
    /// <summary>How many bytes of a password bcrypt uses.</summary>
    public const int MaxPassword = 72;

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private readonly LiveOptions _live;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Lock _gate = new();
    private HtpasswdFile _file;
    private (string Path, DateTime Written) _lastRead;
    private string? _said;
    private long _saidAt;

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not read the file.</exception>
    public Htpasswd(LiveOptions live, TimeProvider time, ILogger<Htpasswd> log)
    {
        (_live, _time, _log) = (live, time, log);
        _lastRead = (Path, WrittenAt(Path));
        _file = HtpasswdFile.Read(Path);
        live.Changed += ReadAgain;
    }

    private string NoUsers => $"no user can log in: {Path} has no line with a user and a bcrypt hash";

    private string Path => _live.Current.Auth.Htpasswd?.Path ?? "";

    /// <summary>The hash to check a password with; null where the file has no users.</summary>
    /// <param name="isKnown">False for an unknown user: no password is correct. The hash is then another user's with an ordinary
    /// cost: a check takes as long as for most users of this file, and its time does not tell which exist.</param>
    public string? HashFor(string user, out bool isKnown)
    {
        lock (_gate)
        {
            if (WrittenAt(Path) is var written && (Path, written) != _lastRead)
                Read(written);
            else if (!_file.HasUsers)
                Say(NoUsers);
            return _file.HashFor(user, out isKnown);
        }
    }

    /// <summary>Whether a password belongs to a hash that <see cref="HashFor"/> returned. Takes tens of milliseconds on purpose.</summary>
    /// <param name="password">bcrypt uses the first 72 bytes of its UTF-8. A password with a NUL is never correct.</param>
    public static bool Verify(string password, string hash) =>
        !password.Contains('\0', StringComparison.Ordinal) && BCrypt.Net.BCrypt.Verify(password, hash);

    private void ReadAgain()
    {
        lock (_gate)
            Read(WrittenAt(Path));
    }

    private void Read(DateTime written)
    {
        try
        {
            _file = HtpasswdFile.Read(Path);
            _lastRead = (Path, written);
            _said = null;
            foreach (var warning in _file.Warnings)
                LogWarning($"auth.htpasswd.path: {Path}: {warning}");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // _lastRead stays as it was, so the next request tries again.
            Say($"{Path} {FileMistake.Of(Path) ?? failure.Reason}; the users that were read from it before may still log in");
        }
    }

    private void Say(string what)
    {
        if (_said == what && _time.GetElapsedTime(_saidAt) < Interval)
            return;
        (_said, _saidAt) = (what, _time.GetTimestamp());
        LogWarning(what);
    }

    // The time of the file itself, not of a link to it, because Kubernetes replaces the link. For a missing file .NET returns a date in
    // 1601.
    private static DateTime WrittenAt(string path)
    {
        var file = new FileInfo(path);
        try
        {
            return file.LinkTarget is null ? file.LastWriteTimeUtc : File.ResolveLinkTarget(path, true)?.LastWriteTimeUtc ?? default;
        }
        // Another time than that in _lastRead: the caller then reads the file, and its error goes to the log.
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private partial void LogWarning(string warning);
}
