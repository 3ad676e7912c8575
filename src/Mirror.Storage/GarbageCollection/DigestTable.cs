using System.Buffers.Binary;
using System.Globalization;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Numbers for digests, with little memory for each: about 80 bytes, where the text of a digest has 160. If two digests agree in their
/// first 128 bits, they have one number, and <see cref="DigestOf"/> returns the one that was added first.
/// </summary>
internal sealed class DigestTable
{
    private readonly Dictionary<UInt128, int> _ids = [];
    private readonly List<UInt128> _starts = [];
    // The second half of a sha256.
    private readonly List<UInt128> _ends = [];
    private readonly Dictionary<int, Digest> _long = [];

    public int Count => _starts.Count;

    /// <summary>The number of a digest. A new digest gets the next number.</summary>
    public int Add(Digest digest)
    {
        var start = DigestSet.Key(digest);
        if (_ids.TryGetValue(start, out var id))
            return id;
        id = _starts.Count;
        _ids.Add(start, id);
        _starts.Add(start);
        var isShort = digest.Hex.Length == 64;
        _ends.Add(isShort ? UInt128.Parse(digest.Hex.AsSpan(32), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) : 0);
        if (!isShort)
            _long.Add(id, digest);
        return id;
    }

    public Digest DigestOf(int id)
    {
        if (_long.TryGetValue(id, out var digest))
            return digest;
        Span<byte> hash = stackalloc byte[32];
        BinaryPrimitives.WriteUInt128BigEndian(hash, _starts[id]);
        BinaryPrimitives.WriteUInt128BigEndian(hash[16..], _ends[id]);
        return Digest.FromHash("sha256", hash);
    }
}
