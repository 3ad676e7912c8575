namespace Mirror.Configuration;

/// <summary>How a log line is written.</summary>
public enum LogFormatter
{
    /// <summary><c>time="..." level=info msg="..." field=value</c></summary>
    Text,

    /// <summary>One JSON object per line; also what <c>logstash</c> is read as.</summary>
    Json,
}
