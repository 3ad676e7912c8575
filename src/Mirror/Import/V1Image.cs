using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mirror.Import;

/// <summary>An image of docker-registry 0.x: one layer, with its settings, for each of its ancestors and for itself.</summary>
/// <param name="Layers">Oldest first; the last one's settings are the image's.</param>
internal sealed record V1Image(IReadOnlyList<(string Id, JsonObject Settings)> Layers)
{
    // More than any client can pull.
    private const int MaxLayers = 1000;
    private const int MaxId = 128;

    private static readonly SearchValues<char> IdCharacters = SearchValues.Create("0123456789abcdef");

    /// <summary>Reads the image that a tag names.</summary>
    /// <exception cref="InvalidDataException">A file is missing, or is not what it should be.</exception>
    public static async ValueTask<V1Image> ReadAsync(IV1Files files, V1Tag tag, CancellationToken cancellationToken)
    {
        var id = (await files.ReadTextAsync($"repositories/{tag.Repository}/tag_{tag.Tag}", cancellationToken) ?? "").Trim();
        var ids = await AncestryAsync(files, Checked(id), cancellationToken);
        List<(string, JsonObject)> layers = [];
        foreach (var ancestor in ids.Reverse())
        {
            if (await files.SizeAsync($"images/{ancestor}/_inprogress", cancellationToken) is not null)
                throw new InvalidDataException($"the push of image {ancestor} has not ended");
            layers.Add((ancestor, await SettingsAsync(files, ancestor, cancellationToken)));
        }
        return new V1Image(layers);
    }

    private static async ValueTask<IReadOnlyList<string>> AncestryAsync(IV1Files files, string id, CancellationToken cancellationToken)
    {
        List<string> ids = [];
        if (await files.ReadTextAsync($"images/{id}/ancestry", cancellationToken) is { } text)
            ids = Parse(text, $"images/{id}/ancestry") is JsonArray list ? [.. list.Select(each => Checked(Text(each) ?? ""))] : [];
        else
            for (string? next = id; next is not null; next = Text((await SettingsAsync(files, next, cancellationToken))["parent"]))
            {
                if (ids.Count == MaxLayers)
                    break;
                ids.Add(Checked(next));
            }
        if (ids is not [var first, ..] || first != id || ids.Count > MaxLayers)
            throw new InvalidDataException($"images/{id}/ancestry does not list the image and at most {MaxLayers} ancestors");
        return ids;
    }

    private static async ValueTask<JsonObject> SettingsAsync(IV1Files files, string id, CancellationToken cancellationToken) =>
        await files.ReadTextAsync($"images/{id}/json", cancellationToken) is not { } text
            ? throw new InvalidDataException($"images/{id}/json is missing")
            : Parse(text, $"images/{id}/json") as JsonObject
                ?? throw new InvalidDataException($"images/{id}/json is no JSON object");

    private static JsonNode? Parse(string text, string path)
    {
        try
        {
            // Half a surrogate pair in a text would end the import later, with all its other images.
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
            while (reader.Read())
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
                    reader.GetString();
            return JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path} is no JSON: {failure.Message}", failure);
        }
    }

    private static string? Text(JsonNode? node) =>
        node is JsonValue value && value.TryGetValue(out string? text) && text.Length > 0 ? text : null;

    // An id becomes a part of a path.
    private static string Checked(string id) =>
        id.Length is > 0 and <= MaxId && !id.AsSpan().ContainsAnyExcept(IdCharacters)
            ? id
            : throw new InvalidDataException($"\"{(id.Length > MaxId ? id[..MaxId] : id)}\" is no id of an image");
}
