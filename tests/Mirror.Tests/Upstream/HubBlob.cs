using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using Mirror.Storage;

namespace Mirror.Tests.Upstream;

/// <summary>Content that can be read at any offset without being held in memory, and knows its own digest.</summary>
public abstract class HubBlob
{
    /// <summary>Bytes at hand.</summary>
    public static HubBlob Of(byte[] bytes) => new BytesBlob(bytes);

    /// <summary>
    /// Pseudo-random bytes of any length, computed from the seed and the offset. The same seed and size are the same content in every run.
    /// </summary>
    public static HubBlob Seeded(int seed, long size) => new SeededBlob((uint)seed, size);

    public abstract Digest Digest { get; }

    public abstract long Size { get; }

    /// <summary>
    /// Fills <paramref name="buffer"/> with the bytes from <paramref name="offset"/> on; the caller stays within <see cref="Size"/>.
    /// </summary>
    public abstract void Read(long offset, Span<byte> buffer);

    /// <summary>Bytes <paramref name="from"/> up to and without <paramref name="to"/>.</summary>
    public byte[] Slice(long from, long to)
    {
        var bytes = new byte[to - from];
        Read(from, bytes);
        return bytes;
    }

    private sealed class BytesBlob(byte[] bytes) : HubBlob
    {
        public override Digest Digest { get; } = Digest.Of(bytes);

        public override long Size => bytes.Length;

        public override void Read(long offset, Span<byte> buffer) => bytes.AsSpan((int)offset, buffer.Length).CopyTo(buffer);
    }

    private sealed class SeededBlob(uint seed, long size) : HubBlob
    {
        private static readonly ConcurrentDictionary<(uint, long), Lazy<Digest>> Known = new();

        public override long Size => size;

        public override Digest Digest => Known.GetOrAdd((seed, size), _ => new Lazy<Digest>(Compute)).Value;

        public override void Read(long offset, Span<byte> buffer)
        {
            Span<byte> word = stackalloc byte[8];
            while (!buffer.IsEmpty)
            {
                var skip = (int)(offset & 7);
                if (skip == 0 && buffer.Length >= 8)
                {
                    BinaryPrimitives.WriteUInt64LittleEndian(buffer, Word(offset >> 3));
                    buffer = buffer[8..];
                    offset += 8;
                    continue;
                }

                BinaryPrimitives.WriteUInt64LittleEndian(word, Word(offset >> 3));
                var count = Math.Min(8 - skip, buffer.Length);
                word.Slice(skip, count).CopyTo(buffer);
                buffer = buffer[count..];
                offset += count;
            }
        }

        /// <summary>SplitMix64, which gives the word of any index without those before it.</summary>
        private ulong Word(long index)
        {
            var z = ((ulong)seed << 40) + ((ulong)index + 1) * 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }

        private Digest Compute()
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var buffer = ArrayPool<byte>.Shared.Rent(256 * 1024);
            for (long offset = 0; offset < size;)
            {
                var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, size - offset));
                Read(offset, part);
                hash.AppendData(part);
                offset += part.Length;
            }
            ArrayPool<byte>.Shared.Return(buffer);
            return Digest.FromHash("sha256", hash.GetCurrentHash());
        }
    }
}
