using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>A stored object; its bytes are in a file that nothing changes.</summary>
internal sealed record GcsObject(string Bucket, string Name, GcsBytes Bytes)
{
    public long Generation { get; init; }

    public long Metageneration { get; init; } = 1;

    public string ContentType { get; init; } = "application/octet-stream";

    public DateTimeOffset Created { get; init; }

    public DateTimeOffset Updated { get; init; }

    /// <summary>What the owner of the object noted in its field <c>metadata</c>, and the other fields that Google only keeps.</summary>
    public JsonObject Fields { get; init; } = [];

    /// <summary>Of how many objects it was composed; null for one that was uploaded.</summary>
    public int? Components { get; init; }

    public string ETag => Convert.ToBase64String(BitConverter.GetBytes(Generation)) + Metageneration.ToString(CultureInfo.InvariantCulture);

    /// <summary>The object as the interface describes it.</summary>
    public JsonObject ToJson(string root)
    {
        var link = $"{root}storage/v1/b/{Bucket}/o/{Uri.EscapeDataString(Name)}";
        var json = new JsonObject
        {
            ["kind"] = "storage#object",
            ["id"] = $"{Bucket}/{Name}/{Generation}",
            ["selfLink"] = link,
            ["mediaLink"] = $"{root}download/storage/v1/b/{Bucket}/o/{Uri.EscapeDataString(Name)}?generation={Generation}&alt=media",
            ["name"] = Name,
            ["bucket"] = Bucket,
            ["generation"] = Generation.ToString(CultureInfo.InvariantCulture),
            ["metageneration"] = Metageneration.ToString(CultureInfo.InvariantCulture),
            ["contentType"] = ContentType,
            ["storageClass"] = "STANDARD",
            ["size"] = Bytes.Length.ToString(CultureInfo.InvariantCulture),
            ["crc32c"] = Bytes.Crc32c,
            ["etag"] = ETag,
            ["timeCreated"] = GcsTime.Of(Created),
            ["updated"] = GcsTime.Of(Updated),
            ["timeStorageClassUpdated"] = GcsTime.Of(Created),
        };
        // Google knows no MD5 of an object that it composed.
        if (Components is { } components)
            json["componentCount"] = components;
        else
            json["md5Hash"] = Bytes.Md5;
        foreach (var (name, value) in Fields)
            json[name] = value?.DeepClone();
        return json;
    }
}

/// <summary>Bytes in a file, and their checksums in base64.</summary>
internal sealed record GcsBytes(string Path, long Length, string Md5, string Crc32c)
{
    /// <summary>Reads a file once.</summary>
    public static async Task<GcsBytes> OfAsync(string path, CancellationToken cancellationToken)
    {
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        var (crc, length) = (~0u, 0L);
        var buffer = new byte[128 * 1024];
        await using var file = File.OpenRead(path);
        while (await file.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            md5.AppendData(buffer, 0, read);
            length += read;
            var rest = buffer.AsSpan(0, read);
            for (; rest.Length >= sizeof(ulong); rest = rest[sizeof(ulong)..])
                crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(rest));
            foreach (var one in rest)
                crc = BitOperations.Crc32C(crc, one);
        }
        var bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, ~crc);
        return new(path, length, Convert.ToBase64String(md5.GetHashAndReset()), Convert.ToBase64String(bytes));
    }
}

internal static class GcsTime
{
    public static string Of(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
