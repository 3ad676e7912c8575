namespace Mirror.Telemetry;

/// <summary>How application log lines are written: <c>log.formatter</c>.</summary>
public enum LogFormatter
{
    /// <summary><c>time="..." level=info msg="..." key=value</c></summary>
    Text,

    /// <summary>One JSON object a line: <c>time</c>, <c>level</c>, <c>msg</c> and the fields.</summary>
    Json,

    /// <summary>One JSON object a line: <c>@timestamp</c>, <c>@version</c>, <c>level</c>, <c>message</c> and the fields.</summary>
    Logstash,
}
