using System.Buffers.Binary;
using System.Text;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>
/// What the index of all keys has of an object, in MessagePack: <c>[1, KEY]</c> in release 0.6, <c>[2, KEY, [SECONDS, NANOSECONDS]]</c>
/// later (<c>bucket_meta_index_data</c> in Rift's include/rift/bucket.hpp).
/// </summary>
internal static class RiftListEntry
{
    public static byte[] Pack(string key)
    {
        byte[] packed = [0x92, 1, .. Text(key)];
        return packed;
    }

    public static byte[] Pack(string key, DateTimeOffset time)
    {
        var numbers = new byte[18];
        numbers[0] = numbers[9] = 0xCF;
        BinaryPrimitives.WriteInt64BigEndian(numbers.AsSpan(1), time.ToUnixTimeSeconds());
        BinaryPrimitives.WriteInt64BigEndian(numbers.AsSpan(10), time.Ticks % TimeSpan.TicksPerSecond * 100);
        byte[] packed = [0x93, 2, .. Text(key), 0x92, .. numbers];
        return packed;
    }

    /// <summary>What <see cref="Pack(string, DateTimeOffset)"/> packed; null: the data are none.</summary>
    public static (string Key, DateTimeOffset Time)? Unpack(ReadOnlySpan<byte> data)
    {
        if (data is not [0x93, 2, var first, ..])
            return null;
        var (start, length) = first == 0xDA ? (5, BinaryPrimitives.ReadUInt16BigEndian(data[3..])) : (3, first & 0x1F);
        var numbers = data[(start + length + 1)..];
        return (Encoding.UTF8.GetString(data.Slice(start, length)),
            DateTimeOffset.FromUnixTimeSeconds(BinaryPrimitives.ReadInt64BigEndian(numbers[1..]))
                .AddTicks(BinaryPrimitives.ReadInt64BigEndian(numbers[10..]) / 100));
    }

    private static byte[] Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return bytes.Length < 32 ? [(byte)(0xA0 | bytes.Length), .. bytes]
            : [0xDA, (byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes];
    }
}
