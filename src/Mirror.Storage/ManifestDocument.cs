using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace Mirror.Storage;

/// <summary>The platform that a child of an index is for; null where the index does not give it.</summary>
public readonly record struct ManifestPlatform(string? Os, string? Architecture);

/// <summary>One descriptor in a manifest.</summary>
/// <param name="Field">The member of the manifest that holds it, such as <c>layers</c>.</param>
/// <param name="MediaType">Empty where the descriptor has none.</param>
/// <param name="Size">The length of the content in bytes; null only in a lenient reading.</param>
/// <param name="Urls">Other places to download the content from; nearly always empty.</param>
/// <param name="Platform">Null where there is none.</param>
public sealed record ManifestEntry(
    string Field, Digest Digest, string MediaType, long? Size, IReadOnlyList<string> Urls, ManifestPlatform? Platform)
{
    /// <summary>True for content that registries may not distribute: a manifest may name it although no registry stores it.</summary>
    public bool IsElsewhere => Urls.Count > 0 || MediaTypes.IsNondistributable(MediaType);
}

/// <summary>
/// What a manifest says (OCI image-spec 1.1 "Image Manifest" and "Image Index"; Docker's "Image Manifest V2, Schema 2"). The JSON reader
/// bounds its depth; the length of a manifest (<see cref="Manifest.MaxBytes"/>) bounds its width.
/// </summary>
/// <remarks>
/// Of a member that occurs twice, both are read: clients may disagree on which one counts, so a push must have what either names, and a
/// garbage collection must keep it.
/// </remarks>
public sealed class ManifestDocument
{
    private static readonly ManifestReader Strict = new(isStrict: true);
    private static readonly ManifestReader Lenient = new(isStrict: false);

    private static readonly string[] Members =
    [
        "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations",
        // "blobs" is of the artifact manifest of OCI 1.1's release candidates, "fsLayers" of Docker's schema 1.
        "blobs", "fsLayers",
    ];

    // The JSON never stands in a page of HTML, and '+' is in most media types.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly JsonElement? _annotations;

    private ManifestDocument(JsonElement root, ManifestReader reader)
    {
        List<ManifestEntry> entries = [];
        string? implied = null;
        var saysType = false;
        foreach (var member in root.EnumerateObject())
        {
            var name = Array.Find(Members, member.NameEquals);
            saysType |= name == "mediaType";
            implied = name switch
            {
                "manifests" => MediaTypes.OciIndex,
                "config" or "layers" => implied ?? MediaTypes.OciManifest,
                "fsLayers" => MediaTypes.DockerSignedSchema1,
                _ => implied,
            };
            // Go's encoders write null for an empty list.
            if (name is null || member.Value.ValueKind == JsonValueKind.Null)
                continue;
            switch (name)
            {
                case "schemaVersion":
                    SchemaVersion = reader.WholeNumber(member.Value, name);
                    break;
                case "mediaType":
                    MediaType = reader.Text(member.Value, name);
                    break;
                case "artifactType":
                    ArtifactType = reader.Text(member.Value, name);
                    break;
                case "annotations":
                    _annotations = member.Value.ValueKind == JsonValueKind.Object ? member.Value.Clone() : null;
                    break;
                // No manifest of this kind can be pushed; in others the member means nothing.
                case "fsLayers" when reader.IsStrict:
                    break;
                default:
                    IsIndex |= name == "manifests";
                    reader.AddEntries(entries, member.Value, name);
                    break;
            }
        }
        Entries = entries;
        Type = saysType ? MediaType : implied;
        if (IsIndex && Blobs.Any())
            reader.Refuse<object>("it has both 'manifests' and what an image has; clients would disagree on what it is");
        Subject = entries.FindLast(entry => entry.Field == "subject")?.Digest;
        if (string.IsNullOrEmpty(ArtifactType))
            ArtifactType = IsIndex ? null : entries.FindLast(entry => entry.Field == "config")?.MediaType;
    }

    /// <summary>The media type that the manifest gives; null where it gives none.</summary>
    public string? MediaType { get; }

    /// <summary>
    /// The media type that the manifest gives or else its shape implies, by the rules of <c>registry:2</c>: its layout has no place for the
    /// type. Null where it has no shape that is known.
    /// </summary>
    public string? Type { get; }

    /// <summary>2 for every manifest of today; null where there is none.</summary>
    public long? SchemaVersion { get; }

    /// <summary>Whether it has a config, as an image must.</summary>
    public bool HasConfig => Entries.Any(entry => entry.Field == "config");

    /// <summary>Whether it lists other manifests.</summary>
    public bool IsIndex { get; }

    /// <summary>Every descriptor, in the order of the manifest.</summary>
    public IReadOnlyList<ManifestEntry> Entries { get; }

    /// <summary>Config and layers.</summary>
    public IEnumerable<ManifestEntry> Blobs => Entries.Where(entry => entry.Field is not ("manifests" or "subject"));

    /// <summary>The children of an index.</summary>
    public IEnumerable<ManifestEntry> Manifests => Entries.Where(entry => entry.Field == "manifests");

    /// <summary>The manifest that this one refers to, which need not exist.</summary>
    public Digest? Subject { get; }

    /// <summary>The kind of artifact: the manifest's <c>artifactType</c>, or else the media type of its config.</summary>
    public string? ArtifactType { get; }

    /// <summary>Reads a manifest that a client pushes, strictly; <paramref name="problem"/> says why it is refused.</summary>
    public static bool TryParse(
        ReadOnlyMemory<byte> bytes, [NotNullWhen(true)] out ManifestDocument? document, [NotNullWhen(false)] out string? problem)
    {
        (document, problem) = (null, null);
        try
        {
            if (!Utf8.IsValid(bytes.Span))
                throw new FormatException("it is not UTF-8");
            using var json = JsonDocument.Parse(bytes);
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                throw new FormatException("it is not a JSON object");
            document = new ManifestDocument(json.RootElement, Strict);
            return true;
        }
        // The last: text with half a surrogate pair, which is noticed only when it is read.
        catch (Exception malformed) when (malformed is JsonException or FormatException or InvalidOperationException)
        {
            problem = malformed.Message;
            return false;
        }
    }

    /// <summary>
    /// Reads a manifest that is stored or comes from upstream, whatever its type: every descriptor with a digest, in any place where a
    /// manifest can have one. What breaks the specification is passed over. Never throws.
    /// </summary>
    /// <returns>Null where the bytes do not begin with a JSON object.</returns>
    public static ManifestDocument? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return null;
        try
        {
            var reader = new Utf8JsonReader(bytes);
            using var json = JsonDocument.ParseValue(ref reader);
            return json.RootElement.ValueKind == JsonValueKind.Object ? new ManifestDocument(json.RootElement, Lenient) : null;
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The descriptors in an index of referrers, each as JSON.</summary>
    /// <exception cref="JsonException">The bytes are not an index.</exception>
    public static IReadOnlyList<ReadOnlyMemory<byte>> DescriptorsIn(ReadOnlyMemory<byte> index)
    {
        using var json = JsonDocument.Parse(index);
        if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("manifests", out var manifests)
            || manifests.ValueKind is not (JsonValueKind.Array or JsonValueKind.Null))
            throw new JsonException("It has no list of manifests.");
        return manifests.ValueKind == JsonValueKind.Null
            ? []
            : [.. manifests.EnumerateArray().Select(entry => (ReadOnlyMemory<byte>)JsonMarshal.GetRawUtf8Value(entry).ToArray())];
    }

    /// <summary>The <c>artifactType</c> of a descriptor in JSON; null where it has none.</summary>
    public static string? ArtifactTypeOf(ReadOnlyMemory<byte> descriptor) => TextIn(descriptor, "artifactType");

    /// <summary>The digest that a descriptor in JSON names; null where it names none.</summary>
    public static Digest? DigestOf(ReadOnlyMemory<byte> descriptor) =>
        Digest.TryParse(TextIn(descriptor, "digest"), out var digest) ? digest : null;

    private static string? TextIn(ReadOnlyMemory<byte> descriptor, string name)
    {
        using var json = JsonDocument.Parse(descriptor);
        return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty(name, out var text)
            ? Lenient.Text(text, name)
            : null;
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
            if (_annotations is { } annotations)
            {
                json.WritePropertyName("annotations");
                annotations.WriteTo(json);
            }
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
