namespace Mirror.Configuration;

/// <summary>Section <c>log</c>.</summary>
public sealed class LogOptions
{
    /// <summary>The least severe level that is written. Default <see cref="LogLevel.Information"/>, in the file <c>info</c>.</summary>
    public LogLevel Level { get; set; } = LogLevel.Information;

    /// <summary>How a line is written. Default <see cref="LogFormatter.Text"/>.</summary>
    public LogFormatter Formatter { get; set; }

    /// <summary>Fields added to each line. Default none.</summary>
    public Dictionary<string, string> Fields { get; set; } = [];

    public AccessLogOptions AccessLog { get; set; } = new();
}
