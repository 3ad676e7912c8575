using System.Collections.Concurrent;
using System.Globalization;

namespace Mirror.Copying;

/// <summary>Counts what a copy has done, and keeps what it could not do. All threads of a copy use one.</summary>
internal sealed class CopyTally
{
    // The lines of more of them would help no operator.
    private const int MaxProblems = 10_000;

    private readonly ConcurrentDictionary<string, string> _problems = new(StringComparer.Ordinal);
    private long _repositories;
    private long _tags;
    private long _manifests;
    private long _blobs;
    private long _bytes;
    private long _present;
    private long _expected;

    /// <summary>How many bytes of blobs there are to copy at most; 0 while that is not known.</summary>
    public long Expected { get => Volatile.Read(ref _expected); set => Volatile.Write(ref _expected, value); }

    /// <summary>From 0 to 1; null while that is not known.</summary>
    public double? Share => Expected is > 0 and var expected ? Math.Min(1, (double)Volatile.Read(ref _bytes) / expected) : null;

    /// <summary>What was not copied, each with its reason.</summary>
    public IReadOnlyList<string> Problems =>
        [.. _problems.OrderBy(each => each.Key, StringComparer.Ordinal).Select(each => $"{each.Key}: {each.Value}")];

    public void Repository() => Interlocked.Increment(ref _repositories);

    public void Tag() => Interlocked.Increment(ref _tags);

    public void Manifest() => Interlocked.Increment(ref _manifests);

    /// <summary>A blob of the source was in the destination before.</summary>
    public void Present() => Interlocked.Increment(ref _present);

    public void Blob() => Interlocked.Increment(ref _blobs);

    /// <summary>Bytes of a blob were copied.</summary>
    public void Read(long bytes) => Interlocked.Add(ref _bytes, bytes);

    /// <summary>Something could not be copied.</summary>
    public void Problem(string what, string why)
    {
        if (_problems.Count < MaxProblems)
            _problems[what] = why;
    }

    /// <summary>A further pass looks again at what could not be copied, and at every repository.</summary>
    public void BeginPass()
    {
        _problems.Clear();
        Volatile.Write(ref _repositories, 0);
        Volatile.Write(ref _present, 0);
    }

    /// <summary>What has been done, in words.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{_repositories} repositories, {_tags} tags, {_manifests} manifests, {_blobs} blobs with {_bytes / 1e6:0.0} MB");
}
