using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Mirror.Schema1;

/// <summary>
/// A manifest of schema 1 with its signatures: the payload, into which libtrust has written the member <c>signatures</c>. Each signature
/// says where the payload was cut for that. The digest of such a manifest is the one of its payload.
/// </summary>
public sealed class SignedManifest
{
    /// <summary>The most signatures that are checked.</summary>
    public const int MaxSignatures = 16;

    // Go's writers repeat the indent of the payload, which its author chooses.
    private const int MaxIndent = 16;

    private readonly List<Signature> _signatures = [];

    private SignedManifest(byte[] payload) => Payload = payload;

    /// <summary>What is signed, and what is stored.</summary>
    public byte[] Payload { get; }

    /// <summary>Reads a signed manifest. The signatures are not verified.</summary>
    /// <exception cref="FormatException">It is not a signed manifest.</exception>
    public static SignedManifest Parse(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var json = JsonDocument.Parse(bytes);
            if (json.RootElement.ValueKind != JsonValueKind.Object
                || !json.RootElement.TryGetProperty("signatures", out var list) || list.ValueKind != JsonValueKind.Array)
                throw new FormatException("it has no 'signatures'");
            return Parse(bytes.Span, list);
        }
        // JsonElement throws these at what is missing, of another kind, or not valid Unicode.
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new FormatException($"'signatures' or what they sign is malformed: {malformed.Message}", malformed);
        }
    }

    /// <summary>Whether every signature is one of the key in its header over the payload, and there is one.</summary>
    /// <exception cref="FormatException">The key of a signature is malformed.</exception>
    public bool IsVerified()
    {
        var payload = Base64Url.EncodeToString(Payload);
        foreach (var signature in _signatures)
        {
            using var key = Jws.KeyIn(signature.Header);
            try
            {
                var bytes = Encoding.ASCII.GetBytes($"{signature.Protected}.{payload}");
                if (key is null || !Jws.Verifies(key, signature.Algorithm, bytes, signature.Bytes))
                    return false;
            }
            catch (CryptographicException)
            {
                return false;
            }
        }
        return _signatures.Count > 0;
    }

    /// <summary>The manifest with one signature, as libtrust writes it.</summary>
    /// <exception cref="FormatException">The payload is not an object in JSON, or has signatures already.</exception>
    public static byte[] Sign(ReadOnlySpan<byte> payload, SigningKey key, DateTimeOffset now)
    {
        var length = CutAt(payload);
        var indent = IndentOf(payload);
        var tail = Base64Url.EncodeToString(payload[length..]);
        var time = now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        var head = Base64Url.EncodeToString(
            Encoding.ASCII.GetBytes($$"""{"formatLength":{{length}},"formatTail":"{{tail}}","time":"{{time}}"}"""));
        var signature = key.Sign(Encoding.ASCII.GetBytes($"{head}.{Base64Url.EncodeToString(payload)}"));

        var text = new StringBuilder(1024);
        var colon = indent.Length > 0 ? "\": " : "\":";
        text.Append(',');
        Line(0).Append("\"signatures").Append(colon).Append('[');
        Line(1).Append('{');
        Line(2).Append("\"header").Append(colon).Append('{');
        Line(3).Append("\"jwk").Append(colon).Append('{');
        foreach (var (i, (name, value)) in key.Jwk.Index())
        {
            text.Append(i > 0 ? "," : "");
            Line(4).Append('"').Append(name).Append(colon).Append('"').Append(value).Append('"');
        }
        Line(3).Append("},");
        Line(3).Append("\"alg").Append(colon).Append('"').Append(key.Algorithm).Append('"');
        Line(2).Append("},");
        Line(2).Append("\"signature").Append(colon).Append('"').Append(Base64Url.EncodeToString(signature)).Append("\",");
        Line(2).Append("\"protected").Append(colon).Append('"').Append(head).Append('"');
        Line(1).Append('}');
        Line(0).Append(']');
        text.Append(indent.Length > 0 ? "\n}" : "}");
        return [.. payload[..length], .. Encoding.UTF8.GetBytes(text.ToString())];

        StringBuilder Line(int depth)
        {
            if (indent.Length == 0)
                return text;
            text.Append('\n');
            for (var i = 0; i <= depth; i++)
                text.Append(indent);
            return text;
        }
    }

    private static SignedManifest Parse(ReadOnlySpan<byte> bytes, JsonElement list)
    {
        if (list.GetArrayLength() is var count and (0 or > MaxSignatures))
            throw new FormatException($"it has {count} signatures; it must have 1 to {MaxSignatures}");
        (long Length, byte[] Tail)? format = null;
        List<Signature> signatures = [];
        foreach (var entry in list.EnumerateArray())
        {
            var protectedPart = entry.GetProperty("protected").GetString() ?? "";
            using var head = JsonDocument.Parse(Jws.Decoded(protectedPart));
            var (length, tail) = Format(head.RootElement);
            if (format is { } other && (other.Length != length || !other.Tail.AsSpan().SequenceEqual(tail)))
                throw new FormatException("its signatures are over different payloads");
            format = (length, tail);
            var header = entry.GetProperty("header").Clone();
            var algorithm = header.TryGetProperty("alg", out var alg) ? alg.GetString() : null;
            signatures.Add(new(header, algorithm, Jws.Decoded(entry.GetProperty("signature").GetString()), protectedPart));
        }
        if (format!.Value.Length is var cut && (cut < 0 || cut > bytes.Length))
            throw new FormatException("the formatLength of a signature is longer than the manifest");
        var manifest = new SignedManifest([.. bytes[..(int)cut], .. format.Value.Tail]);
        manifest._signatures.AddRange(signatures);
        return manifest;
    }

    private static (long Length, byte[] Tail) Format(JsonElement head) =>
        head.ValueKind == JsonValueKind.Object
            && head.TryGetProperty("formatLength", out var length) && length.ValueKind == JsonValueKind.Number
            && length.TryGetInt64(out var cut)
            && head.TryGetProperty("formatTail", out var tail) && tail.ValueKind == JsonValueKind.String
            ? (cut, Jws.Decoded(tail.GetString()))
            : throw new FormatException("a signature does not say which bytes it signs (formatLength, formatTail)");

    // After the last member: before the closing brace, and the white space around it.
    private static int CutAt(ReadOnlySpan<byte> payload)
    {
        try
        {
            var reader = new Utf8JsonReader(payload);
            using var json = JsonDocument.ParseValue(ref reader);
            if (json.RootElement.ValueKind != JsonValueKind.Object || json.RootElement.TryGetProperty("signatures", out _))
                throw new FormatException("it is not the payload of a manifest of schema 1");
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            throw new FormatException(malformed.Message, malformed);
        }
        var space = " \t\r\n"u8;
        var end = payload.TrimEnd(space);
        return end is [.., (byte)'}'] ? end[..^1].TrimEnd(space).Length : throw new FormatException("something follows the manifest");
    }

    private static string IndentOf(ReadOnlySpan<byte> payload)
    {
        if (payload is not [(byte)'{', (byte)'\n', .. var rest] || rest.IndexOf((byte)'"') is not (> 0 and <= MaxIndent and var length))
            return "";
        var indent = rest[..length];
        return indent.IndexOfAnyExcept((byte)' ', (byte)'\t') < 0 ? Encoding.ASCII.GetString(indent) : "";
    }

    private sealed record Signature(JsonElement Header, string? Algorithm, byte[] Bytes, string Protected);
}
