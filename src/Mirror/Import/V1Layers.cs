using System.Buffers;
using System.IO.Compression;
using Mirror.Storage;

namespace Mirror.Import;

/// <summary>Stores layers of docker-registry 0.x as blobs: compressed ones as they are, plain ones compressed. Each is read once.</summary>
internal sealed class V1Layers(IV1Files files, ImportTarget target, LayerRecords records)
{
    private const int BufferSize = 128 * 1024;

    /// <summary>How many bytes of layers were read.</summary>
    public long Read { get; private set; }

    /// <summary>Stores a layer, unless it is stored, and links it into a repository.</summary>
    /// <exception cref="InvalidDataException">It is missing, damaged, or of a form that clients of today do not take.</exception>
    public async Task<StoredLayer> StoreAsync(RepositoryName name, string id, CancellationToken cancellationToken)
    {
        if (records.Find(id) is { } known && await target.LinkAsync(name, known.Digest, cancellationToken))
            return known;
        await using var source = await files.OpenAsync($"images/{id}/layer", cancellationToken)
            ?? throw new InvalidDataException($"images/{id}/layer is missing");
        var start = new byte[6];
        var length = await source.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken);
        Digest diffId = default;
        var (digest, size) = await target.StoreAsync(name, async spool =>
        {
            await using var whole = new StartedStream(start.AsMemory(0, length), source);
            diffId = start.AsSpan(0, length) switch
            {
                [0x1f, 0x8b, ..] => await CopyAsync(id, whole, spool, cancellationToken),
                [(byte)'B', (byte)'Z', (byte)'h', ..] => throw Other("bzip2"),
                [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0] => throw Other("xz"),
                _ => await CompressAsync(whole, spool, cancellationToken),
            };
        }, cancellationToken);
        var layer = new StoredLayer(digest, diffId, size);
        records.Add(id, layer);
        return layer;

        InvalidDataException Other(string form) =>
            new($"images/{id}/layer is compressed with {form}, which the format of today does not have");
    }

    // As it is. What the compression holds is only hashed.
    private async Task<Digest> CopyAsync(string id, Stream source, SpoolStream spool, CancellationToken cancellationToken)
    {
        await using var both = new CopyingStream(source, spool);
        Digest diffId;
        long length;
        await using (var plain = new GZipStream(both, CompressionMode.Decompress, leaveOpen: true))
            (diffId, length) = await PumpAsync(plain, Stream.Null, cancellationToken);
        // What decompresses takes the first part of a file for the whole one, without a word. The end of a whole one is its length.
        await PumpAsync(both, Stream.Null, cancellationToken);
        return spool.End == (uint)length ? diffId : throw new InvalidDataException($"images/{id}/layer ends too early, or is damaged");
    }

    private async Task<Digest> CompressAsync(Stream source, Stream spool, CancellationToken cancellationToken)
    {
        await using var compressed = new GZipStream(spool, CompressionLevel.Optimal, leaveOpen: true);
        return (await PumpAsync(source, compressed, cancellationToken)).Digest;
    }

    private async Task<(Digest Digest, long Length)> PumpAsync(Stream from, Stream to, CancellationToken cancellationToken)
    {
        using var hash = Digest.NewHash("sha256");
        long length = 0;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (await from.ReadAsync(buffer, cancellationToken) is > 0 and var read)
            {
                hash.AppendData(buffer, 0, read);
                to.Write(buffer, 0, read);
                length += read;
                Read += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return (Digest.FromHash("sha256", hash.GetHashAndReset()), length);
    }
}
