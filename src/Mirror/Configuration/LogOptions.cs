using Mirror.Configuration.Reading;

namespace Mirror.Configuration;

/// <summary>Section <c>log</c>.</summary>
public sealed class LogOptions
{
    /// <summary>The least severe level that is written. The file calls the default <c>info</c>.</summary>
    public LogLevel Level { get; set; } = LogLevel.Information;

    public LogFormatter Formatter { get; set; } = LogFormatter.Text;

    /// <summary>Fields that are added to each line, as the file spells them.</summary>
    public Dictionary<string, string> Fields { get; set; } = [];

    /// <summary>The names of the <see cref="Fields"/> that are text, although their value may look like a number: the file has quotes
    /// around it.</summary>
    public HashSet<string> TextFields { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The <see cref="Fields"/> with their types, for logs in JSON: text, numbers, true and false.</summary>
    public IReadOnlyDictionary<string, object> TypedFields => Fields.ToDictionary(
        entry => entry.Key, entry => TextFields.Contains(entry.Key) ? entry.Value : PlainScalar.Of(entry.Value));

    /// <summary>Whether each line names the code that wrote it, in the field <c>func</c>.</summary>
    public bool ReportCaller { get; set; }

    public AccessLogOptions AccessLog { get; set; } = new();

    public AuditOptions Audit { get; set; } = new();

    public LogHookOptions[] Hooks { get; set; } = [];
}

/// <summary>Section <c>log.audit</c>.</summary>
public sealed class AuditOptions
{
    /// <summary>The file to which a JSON line is added for each change that a client makes, and each request that is refused. Null:
    /// none.</summary>
    public string? Path { get; set; }
}

/// <summary>How a line of the log is written.</summary>
public enum LogFormatter
{
    /// <summary><c>time="..." level=info msg="..." field=value</c></summary>
    Text,

    /// <summary>One JSON object for each line, with the keys of logrus.</summary>
    Json,

    /// <summary>One JSON object for each line, with the keys of Logstash.</summary>
    Logstash,
}

/// <summary>Section <c>log.accesslog</c>.</summary>
public sealed class AccessLogOptions
{
    /// <summary>Whether no line is written to standard output for each request.</summary>
    public bool Disabled { get; set; }
}
