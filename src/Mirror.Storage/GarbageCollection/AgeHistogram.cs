namespace Mirror.Storage.GarbageCollection;

/// <summary>Bytes by the time they have not been used, to within 2 %: enough to find the oldest of any number of blobs without remembering each.</summary>
internal sealed class AgeHistogram(DateTimeOffset now)
{
    private const double Step = 1.02;

    private readonly SortedDictionary<int, long> _bytes = [];

    /// <summary>All together.</summary>
    public long Bytes { get; private set; }

    /// <summary>What is told apart: the higher, the older.</summary>
    public int ClassOf(DateTimeOffset used) => (int)Math.Log(1 + Math.Max(0, (now - used).TotalSeconds), Step);

    public void Add(DateTimeOffset used, long bytes)
    {
        var age = ClassOf(used);
        _bytes[age] = _bytes.GetValueOrDefault(age) + bytes;
        Bytes += bytes;
    }

    /// <summary>The youngest class that has to go, if so many bytes do with the oldest first, and how many of that class do.</summary>
    public (int Class, long Bytes) Oldest(long bytes)
    {
        foreach (var (age, there) in _bytes.Reverse())
        {
            if (bytes <= there)
                return (age, bytes);
            bytes -= there;
        }
        return (0, 0);
    }
}
