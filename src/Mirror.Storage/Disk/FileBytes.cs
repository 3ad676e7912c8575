using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace Mirror.Storage.Disk;

/// <summary>Compares stored files with bytes that were verified.</summary>
internal static class FileBytes
{
    private const int BufferSize = 256 * 1024;

    /// <summary>Whether a stored file has the bytes of another one, which was verified; false where there is no stored file.</summary>
    /// <param name="stored">The file that may be damaged. Bytes that the disk cannot read, or that this process may not read, are other
    /// bytes.</param>
    /// <exception cref="IOException">The verified file cannot be read.</exception>
    public static bool AreSame(string stored, string verified)
    {
        using var right = File.OpenHandle(verified, share: FileShare.ReadWrite | FileShare.Delete);
        var length = RandomAccess.GetLength(right);
        var (buffer, compared) = (ArrayPool<byte>.Shared.Rent(BufferSize), 0L);
        try
        {
            return Compare(stored, length, () =>
            {
                var read = RandomAccess.Read(right, buffer.AsSpan(0, BufferSize), compared);
                compared += read;
                return buffer.AsMemory(0, read);
            });
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Whether a stored file has these bytes; false where there is no stored file.</summary>
    /// <inheritdoc cref="AreSame" path="/param"/>
    public static bool Are(string stored, ReadOnlyMemory<byte> verified)
    {
        var next = verified;
        return Compare(stored, verified.Length, () =>
        {
            var piece = next[..Math.Min(next.Length, BufferSize)];
            next = next[piece.Length..];
            return piece;
        });
    }

    private static bool Compare(string stored, long length, Func<ReadOnlyMemory<byte>> nextOfVerified)
    {
        // For a missing file, or one of another length, this look is cheaper than to open it.
        if (new FileInfo(stored) is not { Exists: true } file || file.Length != length)
            return false;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            using var handle = File.OpenHandle(stored, share: FileShare.ReadWrite | FileShare.Delete);
            for (var offset = 0L; offset < length;)
            {
                var piece = nextOfVerified().Span;
                if (piece.IsEmpty || !Fill(handle, buffer.AsSpan(0, piece.Length), offset)
                    || !piece.SequenceEqual(buffer.AsSpan(0, piece.Length)))
                    return false;
                offset += piece.Length;
            }
            return true;
        }
        // With new bytes in its place, a file that this process may not open can be read again.
        catch (Exception gone) when (gone is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // False where the file ends before that, or the disk cannot read it.
    private static bool Fill(SafeFileHandle file, Span<byte> buffer, long offset)
    {
        try
        {
            while (!buffer.IsEmpty)
            {
                var read = RandomAccess.Read(file, buffer, offset);
                if (read == 0)
                    return false;
                buffer = buffer[read..];
                offset += read;
            }
            return true;
        }
        catch (IOException unreadable) when (unreadable.IsOfTheDisk)
        {
            return false;
        }
    }
}
