namespace Mirror.Configuration;

/// <summary>How a log line is written.</summary>
public enum LogFormatter
{
    /// <summary><c>time="..." level=info msg="..." field=value</c></summary>
    Text,

    /// <summary>One JSON object per line, with logrus' keys.</summary>
    Json,

    /// <summary>One JSON object per line, with Logstash's keys.</summary>
    Logstash,
}
