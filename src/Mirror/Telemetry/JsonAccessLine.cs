using System.Buffers;
using System.Text.Json;

namespace Mirror.Telemetry;

/// <summary>A line of the access log as one JSON object, with the keys of the application log.</summary>
internal sealed class JsonAccessLine(bool logstash, IReadOnlyDictionary<string, object> fields)
{
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _line;

    [ThreadStatic]
    private static Utf8JsonWriter? _json;

    // A field of the operator's does not hide one of the line's own.
    private readonly KeyValuePair<string, object>[] _fields =
    [
        .. fields.Select(field => field.Key is "level" or "time" or "msg" or "message" or "cache" or "@timestamp" or "@version"
            || field.Key.StartsWith("http.", StringComparison.Ordinal) || field.Key.StartsWith("auth.", StringComparison.Ordinal)
            ? new("fields." + field.Key, field.Value)
            : field),
    ];

    /// <summary>The line, in UTF-8 and with its end. It is good until this thread's next call.</summary>
    public ReadOnlySpan<byte> Of(in CompletedRequest request)
    {
        var line = _line ??= new ArrayBufferWriter<byte>(1024);
        line.ResetWrittenCount();
        var json = _json ??= new Utf8JsonWriter(line, JsonLogFormatter.Options);
        json.Reset(line);
        json.WriteStartObject();
        json.WriteString(logstash ? "@timestamp" : "time", request.Time.UtcDateTime);
        if (logstash)
            json.WriteString("@version", "1");
        json.WriteString("level", "info");
        json.WriteString(logstash ? "message" : "msg", "access");
        json.WriteString("http.request.id", request.Id);
        Write(json, "http.request.xrequestid", request.ClientId);
        Write(json, "http.request.remoteaddr", request.RemoteAddress);
        json.WriteString("http.request.method", request.Method);
        Write(json, "http.request.host", request.Host);
        json.WriteString("http.request.uri", request.Uri);
        json.WriteString("http.request.protocol", request.Protocol);
        Write(json, "http.request.referer", request.Referer);
        Write(json, "http.request.useragent", request.UserAgent);
        json.WriteNumber("http.response.status", request.Status);
        json.WriteNumber("http.response.written", request.Written);
        json.WriteNumber("http.response.seconds", request.Seconds);
        Write(json, "auth.user.name", request.User);
        Write(json, "cache", request.Cache?.Label);
        foreach (var (key, value) in _fields)
        {
            json.WritePropertyName(key);
            JsonLogFormatter.WriteValue(json, value);
        }
        json.WriteEndObject();
        json.Flush();
        line.Write("\n"u8);
        return line.WrittenSpan;
    }

    private static void Write(Utf8JsonWriter json, string key, string? value)
    {
        if (!string.IsNullOrEmpty(value))
            json.WriteString(key, value);
    }
}
