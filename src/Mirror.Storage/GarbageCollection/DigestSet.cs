using System.Globalization;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// A set of digests that needs little memory: 128 bits of each, about 64 MB for a million. If two digests agree in these bits, a garbage
/// collection keeps both, which is safe.
/// </summary>
public sealed class DigestSet
{
    private readonly HashSet<UInt128> _keys = [];

    /// <summary>How many digests it has.</summary>
    public int Count => _keys.Count;

    /// <summary>Adds a digest; false where the set had it.</summary>
    public bool Add(Digest digest) => _keys.Add(Key(digest));

    /// <summary>Whether it has a digest, or one that begins as that.</summary>
    public bool Contains(Digest digest) => _keys.Contains(Key(digest));

    /// <summary>The first 128 bits of a digest.</summary>
    public static UInt128 Key(Digest digest) =>
        UInt128.Parse(digest.Hex.AsSpan(0, 32), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
