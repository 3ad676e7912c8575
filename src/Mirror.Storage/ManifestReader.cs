using System.Text.Json;

namespace Mirror.Storage;

/// <summary>
/// Reads the parts of a manifest. In a strict reading, a part that breaks the specification or that clients could read differently throws a
/// <see cref="FormatException"/>. In a lenient reading, a part that breaks the specification counts as absent, and every part counts that a
/// client could read. Go ignores the case of a name. If a name occurs twice, some clients take the first, some the last, some both.
/// </summary>
internal sealed class ManifestReader(bool isStrict)
{
    // "blobs" is of the artifact manifest of OCI 1.1's release candidates, "fsLayers" of Docker's schema 1.
    private static readonly string[] Members =
    [
        "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations", "blobs", "fsLayers",
    ];

    private static readonly string[] DescriptorMembers =
        ["mediaType", "digest", "size", "urls", "data", "artifactType", "platform", "annotations", "blobSum"];

    private static readonly string[] PlatformMembers = ["os", "architecture", "variant", "os.version", "os.features", "features"];

    public bool IsStrict => isStrict;

    /// <summary>The members of a manifest that have a meaning, by their names.</summary>
    public IEnumerable<(string Name, JsonElement Value)> MembersOf(JsonElement manifest)
    {
        if (isStrict)
            RequireOneReading(manifest, "", Members);
        return Known(manifest, Members);
    }

    /// <summary>The last member of exactly this name; null if there is none.</summary>
    public JsonElement? Find(JsonElement json, string name)
    {
        JsonElement? found = null;
        foreach (var member in json.EnumerateObject())
            if (NameOf(member) == name)
                found = member.Value;
        return found;
    }

    /// <summary>
    /// Adds the descriptors in one member of a manifest. A lenient reading accepts one descriptor in place of a list, and the other way
    /// round.
    /// </summary>
    /// <returns>False where something stands in the place of a digest that cannot be read as one.</returns>
    public bool AddEntries(List<ManifestEntry> entries, JsonElement value, string field)
    {
        var isList = field is not ("config" or "subject");
        if (isList && value.ValueKind != JsonValueKind.Array)
            Refuse<object>($"'{field}' is not a list");
        if (value.ValueKind != JsonValueKind.Array || isStrict && !isList)
            return Add(entries, value, field);
        var isReadable = true;
        foreach (var item in value.EnumerateArray())
            isReadable &= Add(entries, item, field);
        return isReadable;
    }

    /// <summary>A text. In a lenient reading, null if the value is no text or not valid Unicode.</summary>
    public string? Text(JsonElement value, string name)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : Refuse<string>($"'{name}' is not text");
        }
        // The JSON reader finds half a surrogate pair, or bytes that are not UTF-8, only when it decodes the text.
        catch (InvalidOperationException)
        {
            return Refuse<string>($"'{name}' is not valid Unicode");
        }
    }

    public long? WholeNumber(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number)
            ? number
            : Refuse<long?>($"'{name}' is not a whole number");

    /// <summary>Returns the default value in a lenient reading.</summary>
    /// <exception cref="FormatException">The reading is strict.</exception>
    public T? Refuse<T>(string problem) => isStrict ? throw new FormatException(problem) : default;

    // Adds one entry for each digest of a descriptor.
    private bool Add(List<ManifestEntry> entries, JsonElement json, string field)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            Refuse<object>($"'{field}' holds something that is not a descriptor");
            return json.ValueKind == JsonValueKind.Null;
        }
        var isReadable = true;
        List<Digest> digests = [];
        var (mediaType, size, urls, platform) = ("", (long?)null, new List<string>(), (ManifestPlatform?)null);
        // Go's encoders write null for an empty list.
        foreach (var (name, value) in Known(json, DescriptorMembers).Where(member => member.Value.ValueKind != JsonValueKind.Null))
            switch (name)
            {
                // Docker's schema 1 has another word for the digest of a layer.
                case "digest" or "blobSum" when name == "blobSum" == (field == "fsLayers"):
                    var text = Text(value, name);
                    if (Digest.TryParse(text, out var digest))
                        digests.Add(digest);
                    // Go's encoders write an empty text for a descriptor that is not set.
                    else if (text is not "" && !Digest.IsUnsupported(text))
                        isReadable = false;
                    break;
                case "mediaType":
                    mediaType = Text(value, name) ?? "";
                    break;
                case "size" when value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var bytes) && bytes >= 0:
                    size = bytes;
                    break;
                case "urls" when value.ValueKind == JsonValueKind.Array:
                    urls.AddRange(value.EnumerateArray().Select(url => Text(url, name)).OfType<string>());
                    break;
                case "urls":
                    Refuse<object>($"'{field}' holds 'urls' that are not a list");
                    break;
                case "platform" when value.ValueKind == JsonValueKind.Object:
                    platform = Platform(value);
                    break;
            }
        if (digests.Count == 0)
            Refuse<object>($"'{field}' holds a descriptor without a digest of a known algorithm");
        else if (size is null)
            Refuse<object>($"'{field}' holds a descriptor without a size");
        entries.AddRange(digests.Select(digest => new ManifestEntry(field, digest, mediaType, size, urls, platform)));
        return isReadable;
    }

    private ManifestPlatform Platform(JsonElement json)
    {
        string? os = null, architecture = null;
        foreach (var (name, value) in Known(json, PlatformMembers).Where(member => member.Value.ValueKind != JsonValueKind.Null))
            if (name == "os")
                os = Text(value, name);
            else if (name == "architecture")
                architecture = Text(value, name);
        return new(os, architecture);
    }

    private IEnumerable<(string Name, JsonElement Value)> Known(JsonElement json, string[] names)
    {
        foreach (var member in json.EnumerateObject())
            if (KnownAs(NameOf(member), names) is { } name)
                yield return (name, member.Value);
    }

    // Refuses what clients could read differently, at any depth: a name that occurs twice, a known one in another case, half a surrogate
    // pair.
    private void RequireOneReading(JsonElement json, string place, string[] known)
    {
        if (json.ValueKind == JsonValueKind.String)
            Text(json, place);
        else if (json.ValueKind == JsonValueKind.Array)
            foreach (var item in json.EnumerateArray())
                RequireOneReading(item, place, known);
        if (json.ValueKind != JsonValueKind.Object)
            return;
        HashSet<string> seen = [];
        foreach (var member in json.EnumerateObject())
        {
            var name = NameOf(member)!;
            if (!seen.Add(name))
                Refuse<object>($"'{name}' occurs twice; clients would disagree on which one counts");
            if (KnownAs(name, known) is { } meant && meant != name)
                Refuse<object>($"'{name}' is '{meant}' in another case; clients would disagree on what it is");
            RequireOneReading(member.Value, name, known.Contains(name) ? MembersBelow(name) : []);
            if (name == "annotations" && known.Contains(name))
                RequireTexts(member.Value);
        }
    }

    // OCI image-spec, "Annotations": a map of texts. Clients in Go can read no part of a manifest in which one is something else.
    private void RequireTexts(JsonElement annotations)
    {
        if (annotations.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null))
            Refuse<object>("'annotations' is not an object");
        if (annotations.ValueKind == JsonValueKind.Object)
            foreach (var annotation in annotations.EnumerateObject())
                if (annotation.Value.ValueKind is not (JsonValueKind.String or JsonValueKind.Null))
                    Refuse<object>($"the annotation '{annotation.Name}' is not text");
    }

    private static string[] MembersBelow(string name) => name switch
    {
        "config" or "layers" or "manifests" or "subject" or "blobs" or "fsLayers" => DescriptorMembers,
        "platform" => PlatformMembers,
        _ => [],
    };

    private string? NameOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            return Refuse<string>("the name of a member is not valid Unicode");
        }
    }

    // Compares as Go's encoding/json does. It ignores case, and two letters outside ASCII are equal to a letter of ASCII.
    private static string? KnownAs(string? name, string[] names)
    {
        name = name?.Replace('\u017f', 's').Replace('\u212a', 'k');
        return Array.Find(names, known => known.Equals(name, StringComparison.OrdinalIgnoreCase));
    }
}
