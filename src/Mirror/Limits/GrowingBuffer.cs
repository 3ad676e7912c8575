using System.Buffers;

namespace Mirror.Limits;

/// <summary>
/// Collects a body of unknown length in pieces of a pool. A buffer that doubled its length would leave garbage of several times the body,
/// in objects that only a full collection removes.
/// </summary>
internal sealed class GrowingBuffer : IDisposable
{
    private const int PieceSize = DocumentMemory.Piece;

    private readonly List<byte[]> _pieces = [];

    /// <summary>How many bytes it has.</summary>
    public int Length { get; private set; }

    /// <summary>Appends bytes.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var used = Length % PieceSize;
            if (used == 0)
                _pieces.Add(ArrayPool<byte>.Shared.Rent(PieceSize));
            var part = bytes[..Math.Min(bytes.Length, PieceSize - used)];
            part.CopyTo(_pieces[^1].AsSpan(used));
            bytes = bytes[part.Length..];
            Length += part.Length;
        }
    }

    /// <summary>All bytes, in an array of their own.</summary>
    public byte[] ToArray()
    {
        var all = new byte[Length];
        for (var i = 0; i < _pieces.Count; i++)
        {
            var offset = i * PieceSize;
            _pieces[i].AsSpan(0, Math.Min(PieceSize, Length - offset)).CopyTo(all.AsSpan(offset));
        }
        return all;
    }

    /// <summary>Gives the pieces back to the pool.</summary>
    public void Dispose()
    {
        foreach (var piece in _pieces)
            ArrayPool<byte>.Shared.Return(piece);
        _pieces.Clear();
        Length = 0;
    }
}
