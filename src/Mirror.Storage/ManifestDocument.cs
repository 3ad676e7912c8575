using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace Mirror.Storage;

/// <summary>The platform a child of an index is for; null where it does not say.</summary>
public readonly record struct ManifestPlatform(string? Os, string? Architecture);

/// <summary>One descriptor in a manifest.</summary>
/// <param name="MediaType">Empty where it does not say.</param>
/// <param name="Urls">Where else the content can be had; empty for nearly all.</param>
/// <param name="Platform">Null where there is none.</param>
public sealed record ManifestEntry(Digest Digest, string MediaType, IReadOnlyList<string> Urls, ManifestPlatform? Platform)
{
    /// <summary>True for content that its maker does not let registries keep: a manifest may name it though it is nowhere here.</summary>
    public bool IsElsewhere => Urls.Count > 0 || MediaTypes.IsNondistributable(MediaType);
}

/// <summary>
/// What a manifest names (OCI image-spec 1.1 "Image Manifest" and "Image Index"; Docker's "Image Manifest V2, Schema 2"). Depth is bounded by the
/// JSON reader, width by the length of a manifest.
/// </summary>
public sealed class ManifestDocument
{
    // Never shown in a page of HTML, and '+' is in most media types.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private ManifestDocument(JsonElement root)
    {
        MediaType = Text(root, "mediaType");
        SchemaVersion = Member(root, "schemaVersion") switch
        {
            null => null,
            { ValueKind: JsonValueKind.Number } number when number.TryGetInt64(out var version) => version,
            _ => throw new FormatException("'schemaVersion' is not a whole number"),
        };
        Manifests = Entries(root, "manifests");
        List<ManifestEntry> blobs = [];
        if (Member(root, "config") is { } config)
        {
            var entry = Entry(config, "config");
            blobs.Add(entry);
            (HasConfig, ConfigType) = (true, entry.MediaType);
        }
        blobs.AddRange(Entries(root, "layers"));
        blobs.AddRange(Entries(root, "blobs"));
        Blobs = blobs;
        Subject = Member(root, "subject") is { } subject ? Entry(subject, "subject").Digest : null;
        IsIndex = Member(root, "manifests") is not null;
        if (IsIndex && blobs.Count > 0)
            throw new FormatException("it has both 'manifests' and what an image has; clients would disagree on what it is");
        ArtifactType = Text(root, "artifactType") is { Length: > 0 } type ? type : IsIndex ? null : ConfigType;
        Annotations = Member(root, "annotations") is { ValueKind: JsonValueKind.Object } annotations ? annotations.Clone() : null;
    }

    /// <summary>The type it says it has; null where it says none.</summary>
    public string? MediaType { get; }

    /// <summary>2 for every manifest of today; null where it does not say.</summary>
    public long? SchemaVersion { get; }

    /// <summary>Whether it has a config, as an image must.</summary>
    public bool HasConfig { get; }

    /// <summary>Whether it lists other manifests.</summary>
    public bool IsIndex { get; }

    /// <summary>Config and layers.</summary>
    public IReadOnlyList<ManifestEntry> Blobs { get; }

    /// <summary>The children of an index.</summary>
    public IReadOnlyList<ManifestEntry> Manifests { get; }

    /// <summary>The manifest that this one refers to, which need not exist.</summary>
    public Digest? Subject { get; }

    /// <summary>What kind of artifact it is: its own word, else its config's type.</summary>
    public string? ArtifactType { get; }

    private string? ConfigType { get; }

    private JsonElement? Annotations { get; }

    /// <summary>Reads a manifest; where it is none, <paramref name="problem"/> says why.</summary>
    public static bool TryParse(ReadOnlyMemory<byte> bytes, [NotNullWhen(true)] out ManifestDocument? document, [NotNullWhen(false)] out string? problem)
    {
        (document, problem) = (null, null);
        try
        {
            if (!Utf8.IsValid(bytes.Span))
                throw new FormatException("it is not UTF-8");
            using var json = JsonDocument.Parse(bytes);
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                throw new FormatException("it is not a JSON object");
            document = new ManifestDocument(json.RootElement);
            return true;
        }
        // The last: text with half a surrogate pair, which is noticed only when it is read.
        catch (Exception malformed) when (malformed is JsonException or FormatException or InvalidOperationException)
        {
            problem = malformed.Message;
            return false;
        }
    }

    /// <summary>The descriptor that a list of referrers shows for this manifest, as JSON.</summary>
    public byte[] DescriptorAsReferrer(Descriptor descriptor)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Readable))
        {
            json.WriteStartObject();
            json.WriteString("mediaType", descriptor.MediaType);
            json.WriteString("digest", descriptor.Digest.ToString());
            json.WriteNumber("size", descriptor.Size);
            if (ArtifactType is not null)
                json.WriteString("artifactType", ArtifactType);
            if (Annotations is { } annotations)
            {
                json.WritePropertyName("annotations");
                annotations.WriteTo(json);
            }
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static List<ManifestEntry> Entries(JsonElement root, string name)
    {
        if (Member(root, name) is not { } list)
            return [];
        if (list.ValueKind != JsonValueKind.Array)
            throw new FormatException($"'{name}' is not a list");
        return [.. list.EnumerateArray().Select(entry => Entry(entry, name))];
    }

    private static ManifestEntry Entry(JsonElement entry, string where)
    {
        if (entry.ValueKind != JsonValueKind.Object)
            throw new FormatException($"'{where}' holds something that is not a descriptor");
        if (!Digest.TryParse(Text(entry, "digest"), out var digest))
            throw new FormatException($"'{where}' holds a descriptor without a digest of a known algorithm");
        if (Member(entry, "size") is not { ValueKind: JsonValueKind.Number } size || !size.TryGetInt64(out var length) || length < 0)
            throw new FormatException($"'{where}' holds a descriptor without a size");
        return new ManifestEntry(digest, Text(entry, "mediaType") ?? "", Urls(entry, where), Platform(entry));
    }

    private static IReadOnlyList<string> Urls(JsonElement entry, string where)
    {
        if (Member(entry, "urls") is not { } urls)
            return [];
        if (urls.ValueKind != JsonValueKind.Array)
            throw new FormatException($"'{where}' holds 'urls' that are not a list");
        return [.. urls.EnumerateArray().Select(url => url.ValueKind == JsonValueKind.String ? url.GetString()! : throw new FormatException($"'{where}' holds a URL that is no text"))];
    }

    private static ManifestPlatform? Platform(JsonElement entry) =>
        Member(entry, "platform") is { ValueKind: JsonValueKind.Object } platform ? new(Text(platform, "os"), Text(platform, "architecture")) : null;

    // An explicit null is as good as nothing: Go's encoders write it for empty lists.
    private static JsonElement? Member(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? Text(JsonElement parent, string name) => Member(parent, name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        _ => throw new FormatException($"'{name}' is not text"),
    };
}
