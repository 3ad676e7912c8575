using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mirror.Telemetry;

/// <summary>One JSON object a line, with logrus' keys or with Logstash's.</summary>
internal sealed class JsonLogFormatter(bool logstash, IReadOnlyDictionary<string, object> fields, bool reportsCaller, TimeProvider time)
    : LogLineFormatter(fields, reportsCaller, time)
{
    // Escapes what JSON must, and every control character. An ampersand or a plus in a URL stays readable.
    internal static readonly JsonWriterOptions Options =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly string _time = logstash ? "@timestamp" : "time";
    private readonly string _message = logstash ? "message" : "msg";

    protected override void Format(
        StringBuilder line, DateTime utc, string level, string message, List<KeyValuePair<string, object>> fields)
    {
        var utf8 = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(utf8, Options))
        {
            json.WriteStartObject();
            json.WriteString(_time, utc);
            if (logstash)
                json.WriteString("@version", "1");
            json.WriteString("level", level);
            json.WriteString(_message, message);
            foreach (var (key, value) in fields)
            {
                // As logrus does with a field that would hide one of its own.
                var isTaken = key is "level" || key == _message || key == _time || logstash && key is "@version";
                json.WritePropertyName(isTaken ? "fields." + key : key);
                WriteValue(json, value);
            }
            json.WriteEndObject();
        }
        line.Append(Encoding.UTF8.GetString(utf8.WrittenSpan));
    }

    /// <summary>Writes a value of a field: a number, or true or false, as such, and everything else as text.</summary>
    internal static void WriteValue(Utf8JsonWriter json, object value)
    {
        switch (value)
        {
            case int number:
                json.WriteNumberValue(number);
                break;
            case long number:
                json.WriteNumberValue(number);
                break;
            case ulong number:
                json.WriteNumberValue(number);
                break;
            case double number when double.IsFinite(number):
                json.WriteNumberValue(number);
                break;
            case bool flag:
                json.WriteBooleanValue(flag);
                break;
            default:
                json.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
        }
    }
}
