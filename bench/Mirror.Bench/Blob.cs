using Mirror.Storage;

namespace Mirror.Bench;

/// <summary>Content of any length that needs the memory of one chunk: the same random chunk, repeated.</summary>
internal sealed class Blob
{
    private const int ChunkSize = 1 << 20;

    private static int _seeds = Environment.ProcessId;

    private readonly byte[] _chunk = new byte[ChunkSize];

    public Blob(long length, bool hashed = true)
    {
        Length = length;
        // Different in each run, so that no server has it stored.
        new Random(Interlocked.Increment(ref _seeds)).NextBytes(_chunk);
        if (!hashed)
            return;
        using var hash = Digest.NewHash("sha256");
        for (var offset = 0L; offset < length; offset += ChunkSize)
            hash.AppendData(At(offset, length).Span);
        Digest = Digest.FromHash("sha256", hash.GetCurrentHash());
    }

    public long Length { get; }

    public Digest Digest { get; }

    /// <summary>The bytes from an offset to the end of their chunk, or to <paramref name="end"/>.</summary>
    public ReadOnlyMemory<byte> At(long offset, long end)
    {
        var from = (int)(offset % ChunkSize);
        return _chunk.AsMemory(from, (int)Math.Min(ChunkSize - from, end - offset));
    }

    /// <summary>Checks that bytes are those of this blob from an offset on.</summary>
    /// <exception cref="InvalidDataException">A byte differs.</exception>
    public void Compare(long offset, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var mine = At(offset, Math.Min(Length, offset + bytes.Length)).Span;
            if (mine.IsEmpty || !bytes.StartsWith(mine))
                throw new InvalidDataException($"Wrong bytes behind {offset}.");
            offset += mine.Length;
            bytes = bytes[mine.Length..];
        }
    }

    public void WriteTo(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using var file = File.Create(path);
        for (var offset = 0L; offset < Length; offset += ChunkSize)
            file.Write(At(offset, Length).Span);
    }
}
