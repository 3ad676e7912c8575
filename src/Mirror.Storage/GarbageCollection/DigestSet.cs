using System.Globalization;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// The content that is named. Of each digest 128 bits are kept, about 64 MB for a million: two that agree in those would only both be kept.
/// </summary>
internal sealed class DigestSet
{
    private readonly HashSet<UInt128> _marked = [];

    public int Count => _marked.Count;

    /// <summary>DigestSet content; false where it was marked before.</summary>
    public bool Add(Digest digest) => _marked.Add(Key(digest));

    public bool Contains(Digest digest) => _marked.Contains(Key(digest));

    private static UInt128 Key(Digest digest) => UInt128.Parse(digest.Hex.AsSpan(0, 32), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
