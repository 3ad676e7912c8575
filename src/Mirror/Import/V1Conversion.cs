using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mirror.Storage;

namespace Mirror.Import;

/// <summary>A layer as it is stored.</summary>
/// <param name="Digest">Of its compressed bytes.</param>
/// <param name="DiffId">Of its bytes before compression.</param>
/// <param name="Size">Of its compressed bytes.</param>
internal readonly record struct StoredLayer(Digest Digest, Digest DiffId, long Size);

/// <summary>Makes the config and the manifest of schema 2 that mean the same as an image of docker-registry 0.x.</summary>
internal static partial class V1Conversion
{
    private const string ConfigType = "application/vnd.docker.container.image.v1+json";
    private const string LayerType = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    // They name images of the old kind.
    private static readonly string[] OldKeys = ["id", "parent", "parent_id", "layer_id", "Size", "size", "throwaway"];

    private static readonly JsonSerializerOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The settings of the image, with a line of history for each layer (image-spec, "Image Configuration").</summary>
    public static byte[] Config(V1Image image, IReadOnlyList<StoredLayer> layers)
    {
        var config = (JsonObject)image.Layers[^1].Settings.DeepClone();
        foreach (var key in OldKeys)
            config.Remove(key);
        MendDate(config);
        config["architecture"] ??= "amd64";
        config["os"] ??= "linux";
        config["rootfs"] = new JsonObject
        {
            ["type"] = "layers",
            ["diff_ids"] = new JsonArray([.. layers.Select(layer => (JsonNode?)layer.DiffId.ToString())]),
        };
        config["history"] = new JsonArray([.. image.Layers.Select(layer => (JsonNode?)HistoryOf(layer.Settings))]);
        return JsonSerializer.SerializeToUtf8Bytes(config, Format);
    }

    public static Manifest Manifest(byte[] config, IReadOnlyList<StoredLayer> layers)
    {
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = MediaTypes.DockerManifest,
            ["config"] = Descriptor(ConfigType, config.Length, Digest.Of(config)),
            ["layers"] = new JsonArray([.. layers.Select(layer => Descriptor(LayerType, layer.Size, layer.Digest))]),
        };
        var bytes = JsonSerializer.SerializeToUtf8Bytes(manifest, Format);
        return new Manifest(new Descriptor(MediaTypes.DockerManifest, Digest.Of(bytes), bytes.Length), bytes);
    }

    private static JsonObject Descriptor(string type, long size, Digest digest) =>
        new() { ["mediaType"] = type, ["size"] = size, ["digest"] = digest.ToString() };

    // Clients in Go read no date but one of RFC 3339. Leave out what is no date at all.
    private static void MendDate(JsonObject settings)
    {
        if (settings["created"] is not { } created)
            return;
        var text = created.GetValueKind() == JsonValueKind.String ? created.GetValue<string>() : "";
        if (InternetDate().IsMatch(text))
            return;
        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
            settings["created"] = at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);
        else
            settings.Remove("created");
    }

    [GeneratedRegex(@"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})\z")]
    private static partial Regex InternetDate();

    private static JsonObject HistoryOf(JsonObject settings)
    {
        var history = new JsonObject();
        foreach (var key in new[] { "created", "author", "comment" })
            if (settings[key] is JsonValue value)
                history[key] = value.DeepClone();
        MendDate(history);
        if (settings["container_config"] is JsonObject container && container["Cmd"] is JsonArray command)
            history["created_by"] = string.Join(' ', command.Select(word => word?.ToString()));
        return history;
    }
}
