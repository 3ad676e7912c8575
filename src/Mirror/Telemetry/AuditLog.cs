using System.Text.Json;
using System.Text.Json.Serialization;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Telemetry;

/// <summary>
/// A file with a JSON line for each change that a client made, and each request that was refused (<c>log.audit.path</c>). A line is
/// written before the client's connection can bring its next request, unless the path names a pipe. A line that cannot be written is
/// reported in the log.
/// </summary>
public sealed partial class AuditLog : IDisposable
{
    private const int MaxRecent = 200;
    // The longest text in a line: clients choose names, references and user names.
    private const int MaxText = 256;

    private static readonly byte[] EndOfLine = "\n"u8.ToArray();

    private readonly string? _path;
    private readonly ILogger<AuditLog> _log;
    private readonly RareLine _failures;
    private readonly Lock _gate = new();
    private readonly Queue<AuditLine> _recent = new();
    // If the path names a pipe, its reader may be away or slow: a thread of its own writes the lines.
    private readonly FileStream? _pipe;
    private readonly LineWriter? _pipeLines;
    private FileStream? _file;

    /// <exception cref="IOException">The file cannot be opened; also as <see cref="UnauthorizedAccessException"/>.</exception>
    public AuditLog(LogOptions options, LiveOptions live, TimeProvider time, ILogger<AuditLog> log)
    {
        (_path, _log, _failures) = (options.Audit.Path, log, new RareLine(time));
        if (_path is null)
            return;
        _pipe = OpenPipe(_path);
        if (_pipe is not null)
        {
            _pipeLines = new LineWriter("audit log", _pipe, lost => LogDropped(lost, _path));
            return;
        }
        _file = Open(_path);
        // After SIGHUP: a program that rotates files has renamed this one.
        live.Changed += OpenAgain;
    }

    /// <summary>Whether lines are written at all.</summary>
    public bool IsOn => _path is not null;

    /// <summary>The last lines of this process, the newest first.</summary>
    public IReadOnlyList<AuditLine> Recent
    {
        get
        {
            lock (_gate)
                return [.. _recent.Reverse()];
        }
    }

    /// <summary>Writes a line. Never throws.</summary>
    public void Write(AuditLine line)
    {
        if (_path is null)
            return;
        line = line with
        {
            User = Bounded(line.User),
            Repository = Bounded(line.Repository),
            Target = Bounded(line.Target),
            Digest = Bounded(line.Digest),
            From = Bounded(line.From),
            Reason = Bounded(line.Reason, 4 * MaxText),
        };
        byte[] bytes = [.. JsonSerializer.SerializeToUtf8Bytes(line, AuditJson.Default.AuditLine), .. EndOfLine];
        lock (_gate)
        {
            _recent.Enqueue(line);
            if (_recent.Count > MaxRecent)
                _recent.Dequeue();
            if (_pipeLines is not null)
            {
                _pipeLines.Write(bytes);
                return;
            }
            try
            {
                _file ??= Open(_path);
                _file.Write(bytes);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                Close();
                if (_failures.IsDue())
                    LogFailed(_path, failure.Message);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
            Close();
        _pipeLines?.Dispose();
        _pipe?.Dispose();
    }

    private static string? Bounded(string? text, int max = MaxText) =>
        text is "" ? null : ClientText.Cut(text, max);

    private void OpenAgain()
    {
        // The next line opens it.
        lock (_gate)
            Close();
    }

    private void Close()
    {
        _file?.Dispose();
        _file = null;
    }

    // Opened for reading too, a pipe needs no other process that reads it. Null if the path names a file, or nothing yet.
    private static FileStream? OpenPipe(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            var file = new FileStream(
                path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            if (!file.CanSeek)
                return file;
            file.Dispose();
        }
        catch (UnauthorizedAccessException)
        {
            // A file that this process may only write to.
        }
        return null;
    }

    private static FileStream Open(string path)
    {
        // Without a buffer, each line is one write at the end of the file.
        var options = new FileStreamOptions
        {
            Mode = FileMode.Append,
            Access = FileAccess.Write,
            Share = FileShare.ReadWrite | FileShare.Delete,
            BufferSize = 0,
        };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
        return new FileStream(path, options);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "a line of the audit log {Path} is lost, because it cannot be written: {Reason}")]
    private partial void LogFailed(string path, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "audit log: {Lost} lines dropped, because the reader of the pipe {Path} does not read fast enough")]
    private partial void LogDropped(long lost, string path);
}

/// <summary>A line of the audit log. What is null is left out.</summary>
/// <param name="Event">push, mount, delete, login_refused or denied; for an operator's commands their name.</param>
/// <param name="User">The user; null for a client without a login. For <c>login_refused</c>, the name that the client gave.</param>
/// <param name="Address">The client's address.</param>
/// <param name="Target">What a tag, a digest or an upload was named in the request.</param>
/// <param name="Action">What the client may not do, for <c>denied</c>.</param>
/// <param name="Rule">The rule that let the client do it, such as <c>access.rules.2</c>; null where there are no rules.</param>
/// <param name="Reason">Why it was refused.</param>
/// <param name="Request">The number of the request in the other logs.</param>
public sealed record AuditLine(
    DateTimeOffset Time, string Event, string? User, string? Address, string? Repository, string? Target, string? Digest, string? From,
    string? Action, string? Rule, string? Reason, string? Request);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AuditLine))]
internal sealed partial class AuditJson : JsonSerializerContext;
