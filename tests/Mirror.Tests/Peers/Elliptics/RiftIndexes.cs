using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using static Mirror.Tests.Peers.Elliptics.RiftAnswer;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>The secondary indexes of objects (Rift's include/rift/index.hpp).</summary>
internal sealed class RiftIndexes(RiftObjects objects)
{
    /// <summary>
    /// <c>{"indexes":{"NAME":"DATA"}}</c>: puts an object into these indexes, and takes it out of all others.
    /// </summary>
    /// <param name="id">The object; null: the one whose key is the text <c>id</c> of the JSON.</param>
    public async Task UpdateAsync(HttpContext context, string? bucket, string? id)
    {
        using var json = await JsonAsync(context);
        if (json?.RootElement is not { ValueKind: JsonValueKind.Object } root
            || !root.TryGetProperty("indexes", out var indexes) || indexes.ValueKind is not JsonValueKind.Object
            || indexes.EnumerateObject().Any(index => index.Value.ValueKind is not JsonValueKind.String)
            || (id ?? IdIn(root)) is not { } wanted)
        {
            await Status(context, 400);
            return;
        }
        var isKept = objects.SetIndexes(wanted, indexes.EnumerateObject()
            .GroupBy(index => RiftObjects.IdOf(bucket, index.Name))
            .ToDictionary(same => same.Key, same => Encoding.UTF8.GetBytes(same.Last().Value.GetString()!)));
        await Status(context, isKept ? 200 : 503);
    }

    /// <summary>
    /// <c>{"type":"and","indexes":["NAME"],"view":"extended"}</c>: the objects in all of the indexes, or in any of them (<c>or</c>), each
    /// with its data in them, and with its bytes if the view is extended.
    /// </summary>
    public async Task FindAsync(HttpContext context, string? bucket)
    {
        using var json = await JsonAsync(context);
        if (json?.RootElement is not { ValueKind: JsonValueKind.Object } root
            || Text(root, "type") is not ("and" or "or") || !root.TryGetProperty("indexes", out var wanted)
            || wanted.ValueKind is not JsonValueKind.Array
            || wanted.EnumerateArray().Any(name => name.ValueKind is not JsonValueKind.String))
        {
            await Status(context, 400);
            return;
        }
        var names = wanted.EnumerateArray().Select(name => name.GetString()!).Distinct()
            .ToDictionary(name => RiftObjects.IdOf(bucket, name));
        var found = objects.FindByIndexes([.. names.Keys], inAll: Text(root, "type") == "and");
        RiftObject[]? read = null;
        if (Text(root, "view") == "extended")
        {
            read = [.. found.Select(one => objects.Find(one.Id)).OfType<RiftObject>()];
            // Elliptics refuses to read nothing.
            if (read.Length == 0)
            {
                await Status(context, 503);
                return;
            }
        }
        await RiftAnswer.JsonAsync(context, found.Select(one => (one.Id, (object)Describe(one.Id, one.In))).ToList());

        List<(string, object)> Describe(string id, IReadOnlyList<(string Index, byte[] Data)> isIn)
        {
            var described = new List<(string, object)>();
            if (read is not null)
                described.Add(("data-object", DataOf(id)));
            described.Add(("indexes", isIn.Select(one => (names[one.Index], (object)one.Data)).ToList()));
            return described;
        }

        // Rift takes the next object where one is gone from the store and still in the index.
        List<(string, object)> DataOf(string id) =>
            read.FirstOrDefault(one => string.CompareOrdinal(one.Id, id) >= 0) is { } next
                ? [("data", next.Bytes.ToArray()), ("mtime", TimeOf(next.Modified))]
                : [];
    }

    private static string? IdIn(JsonElement root) => Text(root, "id") is { } name ? RiftObjects.IdOf(null, name) : null;

    private static string? Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null;

    private static async Task<JsonDocument?> JsonAsync(HttpContext context)
    {
        try
        {
            return await RiftUploads.ReadJsonAsync(context) is { } body ? JsonDocument.Parse(body) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
