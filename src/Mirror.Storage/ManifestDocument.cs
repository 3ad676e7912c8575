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
/// A manifest that clients could read differently cannot be pushed. In one that is stored, or comes from upstream, every reading counts: a
/// garbage collection keeps what any of them names.
/// </remarks>
public sealed class ManifestDocument
{
    private static readonly ManifestReader Strict = new(isStrict: true);
    private static readonly ManifestReader Lenient = new(isStrict: false);

    // The JSON never stands in a page of HTML, and '+' is in most media types.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly string[] ImageMembers = ["config", "layers", "blobs", "fsLayers"];

    // As deep as readers in Go go.
    private static readonly JsonReaderOptions AnyDepth = new() { MaxDepth = 10_000 };

    private readonly JsonElement? _annotations;

    private ManifestDocument(JsonElement root, ManifestReader reader)
    {
        List<ManifestEntry> entries = [];
        HashSet<string> names = [];
        var saysIndex = false;
        foreach (var (name, value) in reader.MembersOf(root))
        {
            saysIndex |= name == "manifests";
            // Go's encoders write null for an empty list.
            if (value.ValueKind == JsonValueKind.Null)
                continue;
            names.Add(name);
            switch (name)
            {
                case "schemaVersion":
                    SchemaVersion = reader.WholeNumber(value, name);
                    break;
                case "mediaType":
                    MediaType = reader.Text(value, name);
                    break;
                case "artifactType":
                    ArtifactType = reader.Text(value, name);
                    break;
                case "annotations":
                    _annotations = value.ValueKind == JsonValueKind.Object ? value.Clone() : null;
                    break;
                // Clients cannot push a manifest of this kind. In manifests of other kinds the member has no meaning.
                case "fsLayers" when reader.IsStrict:
                    break;
                default:
                    // A subject need not exist: it does not have to stay because this manifest names it.
                    HidesNames |= !reader.AddEntries(entries, value, name) && name != "subject";
                    break;
            }
        }
        Entries = entries;
        IsIndex = names.Contains("manifests");
        Type = names.Contains("mediaType") ? MediaType
            : saysIndex ? MediaTypes.OciIndex
            : names.Overlaps(["config", "layers"]) ? MediaTypes.OciManifest
            : names.Contains("fsLayers") ? MediaTypes.DockerSignedSchema1
            : null;
        if (IsIndex && Array.Find(ImageMembers, names.Contains) is { } other)
            reader.Refuse<object>($"it has both 'manifests' and '{other}'; clients would disagree on what it is");
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
    public bool HasConfig => Config is not null;

    /// <summary>The first config; null where there is none.</summary>
    public ManifestEntry? Config => Entries.FirstOrDefault(entry => entry.Field == "config");

    /// <summary>Whether it lists other manifests.</summary>
    public bool IsIndex { get; }

    /// <summary>
    /// Whether it may name more than its <see cref="Entries"/>: in the place of a digest is something that cannot be read as one, or more
    /// text follows the JSON object. Only in a lenient reading.
    /// </summary>
    public bool HidesNames { get; private set; }

    /// <summary>Every descriptor, in the order of the manifest.</summary>
    public IReadOnlyList<ManifestEntry> Entries { get; }

    /// <summary>Config and layers.</summary>
    public IEnumerable<ManifestEntry> Blobs => Entries.Where(entry => entry.Field is not ("manifests" or "subject"));

    /// <summary>The children of an index.</summary>
    public IEnumerable<ManifestEntry> Manifests => Entries.Where(entry => entry.Field == "manifests");

    /// <summary>The manifest that this one refers to, which need not exist.</summary>
    public Digest? Subject { get; }

    /// <summary>Every manifest that some reader could take for <see cref="Subject"/>.</summary>
    public IEnumerable<Digest> Subjects => Entries.Where(entry => entry.Field == "subject").Select(entry => entry.Digest);

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
        catch (Exception malformed) when (malformed is JsonException or FormatException)
        {
            problem = malformed.Message;
            return false;
        }
    }

    /// <summary>
    /// Reads a manifest that is stored or comes from upstream, whatever its type: every descriptor with a digest, in any place where a
    /// manifest can have one. It skips what breaks the specification. Never throws.
    /// </summary>
    /// <returns>Null where the bytes do not begin with a JSON object.</returns>
    public static ManifestDocument? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return null;
        try
        {
            var reader = new Utf8JsonReader(bytes, AnyDepth);
            using var json = JsonDocument.ParseValue(ref reader);
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                return null;
            var document = new ManifestDocument(json.RootElement, Lenient);
            document.HidesNames |= bytes[(int)reader.BytesConsumed..].ContainsAnyExcept(" \t\r\n"u8);
            return document;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The descriptors in an index of referrers, each as JSON.</summary>
    /// <exception cref="JsonException">The bytes are not an index.</exception>
    public static IReadOnlyList<ReadOnlyMemory<byte>> DescriptorsIn(ReadOnlyMemory<byte> index)
    {
        using var json = JsonDocument.Parse(index);
        if (Member(json.RootElement, "manifests") is not { ValueKind: JsonValueKind.Array or JsonValueKind.Null } manifests)
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
        return Member(json.RootElement, name) is { } text ? Lenient.Text(text, name) : null;
    }

    // JsonElement's own search throws at a name that is not valid Unicode.
    private static JsonElement? Member(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object ? Lenient.Find(json, name) : null;

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
                // As they are: they need not be valid Unicode.
                json.WritePropertyName("annotations");
                json.WriteRawValue(JsonMarshal.GetRawUtf8Value(annotations), skipInputValidation: true);
            }
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
