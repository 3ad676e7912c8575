using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mirror.Storage;

namespace Mirror.Schema1;

/// <summary>
/// Makes the payload of schema 1 of an image of schema 2: an entry for each step in the history of its config, the newest first. The bytes
/// are those that <c>registry:2</c> makes.
/// </summary>
public static class Conversion
{
    /// <summary>The longest config that is converted, in bytes, as in <c>registry:2</c>.</summary>
    public const int MaxConfigBytes = 4 << 20;

    // A step of two bytes becomes an entry of hundreds. Images have at most 127 layers.
    private const int MaxSteps = 4096;

    /// <summary>
    /// A layer without content, which stands for the steps that changed no file: a tar file of two empty blocks, as gzip.
    /// </summary>
    public static readonly byte[] EmptyLayer =
    [
        31, 139, 8, 0, 0, 9, 110, 136, 0, 255, 98, 24, 5, 163, 96, 20, 140, 88, 0, 8, 0, 0, 255, 255, 46, 175, 181, 239, 0, 4, 0, 0,
    ];

    /// <summary>The digest of <see cref="EmptyLayer"/>.</summary>
    public static readonly Digest EmptyLayerDigest = Digest.Of(EmptyLayer);

    /// <param name="layers">The layers of the manifest, the oldest first.</param>
    /// <exception cref="FormatException">The config is not that of an image with these layers and a history.</exception>
    public static byte[] PayloadOf(RepositoryName name, string tag, byte[] config, IReadOnlyList<Digest> layers)
    {
        try
        {
            using var json = JsonDocument.Parse(config);
            return PayloadOf(name, tag, json.RootElement, config, layers);
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            throw new FormatException($"the config is not that of an image: {malformed.Message}", malformed);
        }
    }

    private static byte[] PayloadOf(RepositoryName name, string tag, JsonElement config, byte[] bytes, IReadOnlyList<Digest> layers)
    {
        var steps = Steps(config);
        var rootfs = config.TryGetProperty("rootfs", out var found) && found.ValueKind == JsonValueKind.Object ? found : default;
        var diffs = rootfs.ValueKind == JsonValueKind.Object && rootfs.TryGetProperty("diff_ids", out var ids)
            && ids.ValueKind == JsonValueKind.Array ? ids.GetArrayLength() : 0;
        if (diffs != layers.Count)
            throw new FormatException($"the config has {diffs} diff_ids, but the manifest has {layers.Count} layers");

        var (parent, used) = ("", 0);
        var entries = new (Digest Layer, string Json)[steps.Length];
        foreach (var (i, step) in steps.Index())
        {
            if (!step.IsEmpty && used == layers.Count)
                throw new FormatException("the config's history has more layers than the manifest");
            var layer = step.IsEmpty ? EmptyLayerDigest : layers[used++];
            if (i == steps.Length - 1)
            {
                var id = Hash(Encoding.UTF8.GetBytes($"{layer.Hex} {parent} "), bytes);
                entries[0] = (layer, Newest(config, id, parent, step.IsEmpty));
                continue;
            }
            var own = Hash(Encoding.UTF8.GetBytes($"{layer.Hex} {parent}"), []);
            // Of old images of Windows, which have their lowest layer elsewhere.
            if (i == 0 && Text(rootfs, "base_layer") is { Length: > 0 } lowest)
                parent = Convert.ToHexStringLower(SHA384.HashData(Encoding.UTF8.GetBytes(lowest)).AsSpan(0, 32));
            entries[^(i + 1)] = (layer, step.ToJson(own, parent));
            parent = own;
        }
        return Write(name, tag, Text(config, "architecture") ?? "", entries);
    }

    private static Step[] Steps(JsonElement config)
    {
        if (!config.TryGetProperty("history", out var history) || history.ValueKind != JsonValueKind.Array || history.GetArrayLength() == 0)
            throw new FormatException("the config has no history");
        if (history.GetArrayLength() > MaxSteps)
            throw new FormatException($"the config's history has more than {MaxSteps} steps");
        return [.. history.EnumerateArray().Select(step => new Step(
            GoJson.Time(Text(step, "created")), Text(step, "author") ?? "", Text(step, "created_by") ?? "", Text(step, "comment") ?? "",
            step.TryGetProperty("empty_layer", out var empty) && empty.ValueKind != JsonValueKind.Null && empty.GetBoolean()))];
    }

    // The config, with the members of its day.
    private static string Newest(JsonElement config, string id, string parent, bool isEmpty)
    {
        SortedDictionary<string, string> members = new(StringComparer.Ordinal);
        foreach (var member in config.EnumerateObject().Where(member => member.Name is not ("rootfs" or "history")))
            members[member.Name] = new StringBuilder().AppendCompact(member.Value).ToString();
        members["id"] = $"\"{id}\"";
        if (parent.Length > 0)
            members["parent"] = $"\"{parent}\"";
        if (isEmpty)
            members["throwaway"] = "true";
        var json = new StringBuilder("{");
        foreach (var (name, value) in members)
            json.Append(json.Length > 1 ? "," : "").AppendText(name).Append(':').Append(value);
        return json.Append('}').ToString();
    }

    private static byte[] Write(RepositoryName name, string tag, string architecture, (Digest Layer, string Json)[] entries)
    {
        var json = new StringBuilder("{\n   \"schemaVersion\": 1,\n   \"name\": ").AppendText(name.ToString())
            .Append(",\n   \"tag\": ").AppendText(tag).Append(",\n   \"architecture\": ").AppendText(architecture)
            .Append(",\n   \"fsLayers\": [");
        foreach (var (i, (layer, _)) in entries.Index())
            json.Append(i > 0 ? "," : "").Append("\n      {\n         \"blobSum\": ").AppendText(layer.ToString()).Append("\n      }");
        json.Append("\n   ],\n   \"history\": [");
        foreach (var (i, (_, entry)) in entries.Index())
            json.Append(i > 0 ? "," : "").Append("\n      {\n         \"v1Compatibility\": ").AppendText(entry).Append("\n      }");
        return Encoding.UTF8.GetBytes(json.Append("\n   ]\n}").ToString());
    }

    private static string? Text(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? value.GetString()
            : null;

    private static string Hash(byte[] first, byte[] second)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(first);
        hash.AppendData(second);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private sealed record Step(string Created, string Author, string CreatedBy, string Comment, bool IsEmpty)
    {
        public string ToJson(string id, string parent)
        {
            var json = new StringBuilder("{\"id\":").AppendText(id);
            if (parent.Length > 0)
                json.Append(",\"parent\":").AppendText(parent);
            if (Comment.Length > 0)
                json.Append(",\"comment\":").AppendText(Comment);
            json.Append(",\"created\":").AppendText(Created).Append(",\"container_config\":{\"Cmd\":[").AppendText(CreatedBy).Append("]}");
            if (Author.Length > 0)
                json.Append(",\"author\":").AppendText(Author);
            return json.Append(IsEmpty ? ",\"throwaway\":true}" : "}").ToString();
        }
    }
}
