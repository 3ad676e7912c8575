using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mirror.Telemetry;

/// <summary>One JSON object a line, with logrus' keys or with Logstash's.</summary>
internal sealed class JsonLines(bool logstash) : ILineFormat
{
    // Escapes what JSON must and every control character; an ampersand or a plus in a URL stays readable.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly JsonEncodedText _time = JsonEncodedText.Encode(logstash ? "@timestamp" : "time");
    private readonly JsonEncodedText _message = JsonEncodedText.Encode(logstash ? "message" : "msg");

    public void Write(in LogEvent entry, Utf8Buffer line)
    {
        using var json = new Utf8JsonWriter(line, Options);
        json.WriteStartObject();
        json.WriteString(_time, entry.Utc);
        if (logstash)
            json.WriteString("@version", "1");
        json.WriteString("level", entry.Level);
        json.WriteString(_message, entry.Message);
        foreach (var (key, value) in entry.Fields)
        {
            json.WritePropertyName(IsOurs(key) ? "fields." + key : key);
            Value(json, value);
        }
        json.WriteEndObject();
    }

    // As logrus does with a field that would hide one of its own.
    private bool IsOurs(string key) =>
        key is "level" || key == (logstash ? "message" : "msg") || key == (logstash ? "@timestamp" : "time") || logstash && key is "@version";

    private static void Value(Utf8JsonWriter json, object value)
    {
        switch (value)
        {
            case int number:
                json.WriteNumberValue(number);
                break;
            case long number:
                json.WriteNumberValue(number);
                break;
            case double number when double.IsFinite(number):
                json.WriteNumberValue(number);
                break;
            case bool yes:
                json.WriteBooleanValue(yes);
                break;
            default:
                json.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
        }
    }
}
