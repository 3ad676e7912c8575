using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>
/// The state of a spool's hash at some offset, in a file beside the spool, so that a later process need not hash the bytes before this
/// offset. These bytes were flushed before the file was written. A process uses the file only if it is intact and fits the spool:
/// <code>
/// offset  bytes
///      0     16   what this file is, and the version of this format
///     16      8   the offset in the spool
///     24      8   the spool's inode: a copy of the spool, or a new one of the same name, is hashed from its start
///     32     32   SHA-256 of up to 64 KiB before the offset
///     64      n   the state
///   64+n     32   SHA-256 of all that
/// </code>
/// </summary>
internal static class SpoolCheckpoint
{
    /// <summary>How many more bytes are hashed until the next one: less than half a second of work.</summary>
    public const long Interval = 64 << 20;

    private const int OffsetAt = 16, InodeAt = 24, SampleAt = 32, StateAt = 64;
    private const int SampleSize = 64 * 1024;
    private const int MaxSize = 1024;
    private const string Extension = ".hash";

    /// <summary>Writes the checkpoint of a spool whose bytes up to the offset are flushed.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    public static void Write(string spool, ulong inode, SafeFileHandle file, string algorithm, long offset, ReadOnlySpan<byte> state)
    {
        var bytes = new byte[StateAt + state.Length + SHA256.HashSizeInBytes];
        Encoding.ASCII.GetBytes(Kind(algorithm), bytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(OffsetAt), offset);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(InodeAt), inode);
        Sample(file, offset).CopyTo(bytes, SampleAt);
        state.CopyTo(bytes.AsSpan(StateAt));
        SHA256.HashData(bytes.AsSpan(..^SHA256.HashSizeInBytes), bytes.AsSpan(^SHA256.HashSizeInBytes..));
        Durable.WriteFile(Path.GetDirectoryName(spool)!, PathOf(spool), bytes);
    }

    /// <summary>The checkpoint of a spool of <paramref name="length"/> bytes; null where there is none that fits.</summary>
    public static (long Offset, byte[] State)? Read(string spool, ulong inode, SafeFileHandle file, string algorithm, long length)
    {
        try
        {
            if (new FileInfo(PathOf(spool)) is not { Exists: true, Length: > StateAt + SHA256.HashSizeInBytes and < MaxSize })
                return null;
            var bytes = File.ReadAllBytes(PathOf(spool));
            var offset = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(OffsetAt));
            return SHA256.HashData(bytes.AsSpan(..^SHA256.HashSizeInBytes)).AsSpan().SequenceEqual(bytes.AsSpan(^SHA256.HashSizeInBytes..))
                && Encoding.ASCII.GetString(bytes, 0, OffsetAt) == Kind(algorithm)
                && offset > 0 && offset <= length
                && BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(InodeAt)) == inode
                && Sample(file, offset).AsSpan().SequenceEqual(bytes.AsSpan(SampleAt, SHA256.HashSizeInBytes))
                ? (offset, bytes[StateAt..^SHA256.HashSizeInBytes])
                : null;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            return null;
        }
    }

    /// <summary>Deletes the checkpoint, if there is one.</summary>
    public static void Delete(string spool)
    {
        try
        {
            File.Delete(PathOf(spool));
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // The checkpoint does not fit another spool, so it may stay.
        }
    }

    /// <summary>Whether a file's name is that of a checkpoint.</summary>
    public static bool IsOne(string path) => path.EndsWith(Extension, StringComparison.Ordinal);

    private static string PathOf(string spool) => spool + Extension;

    // As long as its place: both algorithms have names of six letters.
    private static string Kind(string algorithm) => $"mirror {algorithm} 1\n";

    private static byte[] Sample(SafeFileHandle file, long offset)
    {
        var bytes = new byte[Math.Min(SampleSize, offset)];
        return SHA256.HashData(bytes.AsSpan(0, RandomAccess.Read(file, bytes, offset - bytes.Length)));
    }
}
