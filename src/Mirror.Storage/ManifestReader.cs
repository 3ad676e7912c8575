using System.Text.Json;

namespace Mirror.Storage;

/// <summary>
/// Reads the parts of a manifest. A part that breaks the specification throws a <see cref="FormatException"/> in a strict reading and
/// counts as absent in a lenient one.
/// </summary>
internal sealed class ManifestReader(bool isStrict)
{
    public bool IsStrict => isStrict;

    /// <summary>
    /// Adds the descriptors in one member of a manifest. A lenient reading takes a list for one descriptor, and the other way round.
    /// </summary>
    public void AddEntries(List<ManifestEntry> entries, JsonElement value, string field)
    {
        var isList = field is not ("config" or "subject");
        if (isList && value.ValueKind != JsonValueKind.Array)
            Refuse<object>($"'{field}' is not a list");
        if (value.ValueKind != JsonValueKind.Array || isStrict && !isList)
            Add(value);
        else
            foreach (var item in value.EnumerateArray())
                Add(item);

        void Add(JsonElement item)
        {
            if (Entry(item, field) is { } entry)
                entries.Add(entry);
        }
    }

    /// <summary>A text; null, in a lenient reading, where the value is no text or not valid Unicode.</summary>
    public string? Text(JsonElement value, string name)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : Refuse<string>($"'{name}' is not text");
        }
        // Half a surrogate pair, or bytes that are not UTF-8: found only when the text is read.
        catch (InvalidOperationException) when (!isStrict)
        {
            return null;
        }
    }

    public long? WholeNumber(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number)
            ? number
            : Refuse<long?>($"'{name}' is not a whole number");

    /// <summary>Nothing, in a lenient reading.</summary>
    /// <exception cref="FormatException">The reading is strict.</exception>
    public T? Refuse<T>(string problem) => isStrict ? throw new FormatException(problem) : default;

    private ManifestEntry? Entry(JsonElement json, string field)
    {
        if (json.ValueKind != JsonValueKind.Object)
            return Refuse<ManifestEntry>($"'{field}' holds something that is not a descriptor");
        // Docker's schema 1 has another word for the digest of a layer.
        if (!Digest.TryParse(TextOf(json, field == "fsLayers" ? "blobSum" : "digest"), out var digest))
            return Refuse<ManifestEntry>($"'{field}' holds a descriptor without a digest of a known algorithm");
        var size = Member(json, "size") is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var bytes) && bytes >= 0
            ? bytes
            : Refuse<long?>($"'{field}' holds a descriptor without a size");
        return new ManifestEntry(field, digest, TextOf(json, "mediaType") ?? "", size, Urls(json, field), Platform(json));
    }

    private string[] Urls(JsonElement entry, string field) => Member(entry, "urls") switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } urls => [.. urls.EnumerateArray().Select(url => Text(url, "urls")).OfType<string>()],
        _ => Refuse<string[]>($"'{field}' holds 'urls' that are not a list") ?? [],
    };

    private ManifestPlatform? Platform(JsonElement entry) => Member(entry, "platform") is { ValueKind: JsonValueKind.Object } platform
        ? new(TextOf(platform, "os"), TextOf(platform, "architecture"))
        : null;

    private string? TextOf(JsonElement parent, string name) => Member(parent, name) is { } value ? Text(value, name) : null;

    // Go's encoders write null for an empty list.
    private static JsonElement? Member(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
