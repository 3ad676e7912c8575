namespace Mirror.Telemetry;

/// <summary>
/// Writes an event as exactly one line, without its end, whatever the event's strings hold: no line break, no control
/// character and nothing that could pass for another field comes through.
/// </summary>
internal interface ILineFormat
{
    void Write(in LogEvent entry, Utf8Buffer line);
}
