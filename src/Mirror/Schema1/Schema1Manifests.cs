using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Mirror.Storage;

namespace Mirror.Schema1;

/// <summary>
/// Manifests of Docker's "Image Manifest V2, Schema 1". Stored is the payload without signatures, under its own digest, as in
/// <c>registry:2</c>. Clients get it with a signature of this server.
/// </summary>
public sealed class Schema1Manifests(SigningKey key, TimeProvider time)
{
    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789");

    /// <summary>Whether a stored manifest is the payload of one of schema 1.</summary>
    public static bool IsPayload([NotNullWhen(true)] ManifestDocument? document) =>
        document is { SchemaVersion: 1, Type: MediaTypes.DockerSignedSchema1 or MediaTypes.DockerSchema1 };

    /// <summary>The manifest that clients get for a payload: it has a signature, and the digest of the payload.</summary>
    /// <exception cref="FormatException">It is no payload.</exception>
    public Manifest WithSignature(ReadOnlySpan<byte> payload, Digest digest)
    {
        var bytes = SignedManifest.Sign(payload, key, time.GetUtcNow());
        return new(new(MediaTypes.DockerSignedSchema1, digest, bytes.Length), bytes);
    }

    /// <summary>The bytes to store for a manifest that is pushed or comes from upstream: those that have its digest.</summary>
    public static ReadOnlyMemory<byte> Stored(Manifest manifest)
    {
        var (type, digest, _) = manifest.Descriptor;
        if (type != MediaTypes.DockerSignedSchema1 || Digest.Of(manifest.Bytes.Span, digest.Algorithm) == digest)
            return manifest.Bytes;
        return SignedManifest.Parse(manifest.Bytes).Payload;
    }

    /// <summary>The payload of bytes that have another digest than the one that is expected; null where none in them has it.</summary>
    public static byte[]? PayloadWith(Digest digest, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            var payload = SignedManifest.Parse(bytes).Payload;
            return Digest.Of(payload, digest.Algorithm) == digest ? payload : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    /// <summary>Checks the form of a payload that a client pushes, as <c>registry:2</c> does.</summary>
    /// <returns>Why it is refused; null where it is not.</returns>
    public static string? Mistake(ReadOnlyMemory<byte> payload)
    {
        if (!ManifestDocument.TryParse(payload, out var document, out var problem))
            return problem;
        // A newer member would make it another manifest for newer clients.
        if (!IsPayload(document) || document.Entries.Count > 0)
            return "its payload is not a manifest of schema 1, with schemaVersion 1, 'fsLayers', and no 'config', 'layers' or 'manifests'";
        using var json = JsonDocument.Parse(payload);
        var root = json.RootElement;
        if (root.TryGetProperty("signatures", out _))
            return "the signed part has 'signatures' itself";
        if (List(root, "fsLayers", "blobSum") is not { } layers)
            return "'fsLayers' is not a list of descriptors with 'blobSum'";
        foreach (var layer in layers.EnumerateArray())
            if (!Digest.TryParse(layer.GetProperty("blobSum").GetString(), out _))
                return "'fsLayers' holds a 'blobSum' that is not a digest of a known algorithm";
        if (List(root, "history", "v1Compatibility") is not { } history)
            return "'history' is not a list of entries with 'v1Compatibility'";
        return layers.GetArrayLength() == history.GetArrayLength()
            ? null
            : $"it has {layers.GetArrayLength()} fsLayers, but {history.GetArrayLength()} entries of history";
    }

    /// <summary>
    /// Whether a payload has the name of an image. As in <c>registry:2</c> it need not be the one of the repository: tools copy a manifest
    /// as it is.
    /// </summary>
    public static bool HasName(ReadOnlyMemory<byte> payload)
    {
        using var json = JsonDocument.Parse(payload);
        return json.RootElement.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String
            && name.GetString()! is { Length: <= RepositoryName.MaxLength } text && text.AsSpan().ContainsAny(NameCharacters);
    }

    private static JsonElement? List(JsonElement root, string list, string member) =>
        root.TryGetProperty(list, out var entries) && entries.ValueKind == JsonValueKind.Array
            && entries.EnumerateArray().All(entry => entry.ValueKind == JsonValueKind.Object
                && entry.TryGetProperty(member, out var text) && text.ValueKind == JsonValueKind.String)
            ? entries
            : null;
}
