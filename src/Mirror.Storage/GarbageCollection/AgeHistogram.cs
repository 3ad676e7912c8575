namespace Mirror.Storage.GarbageCollection;

/// <summary>How many bytes were last used how long ago, in classes of 2 %: finds the oldest of many blobs without a list of them.</summary>
internal sealed class AgeHistogram(DateTimeOffset now)
{
    private const double Step = 1.02;

    private readonly SortedDictionary<int, long> _bytes = [];

    /// <summary>The bytes of all classes.</summary>
    public long Bytes { get; private set; }

    /// <summary>The class of a last use: the higher the class, the older the use.</summary>
    public int ClassOf(DateTimeOffset used) => (int)Math.Log(1 + Math.Max(0, (now - used).TotalSeconds), Step);

    public void Add(DateTimeOffset used, long bytes)
    {
        var age = ClassOf(used);
        _bytes[age] = _bytes.GetValueOrDefault(age) + bytes;
        Bytes += bytes;
    }

    /// <summary>
    /// The youngest class that is needed to free this many bytes from the oldest on, and how many bytes of that class are needed.
    /// </summary>
    public (int Class, long Bytes) Oldest(long bytes)
    {
        foreach (var (age, stored) in _bytes.Reverse())
        {
            if (bytes <= stored)
                return (age, bytes);
            bytes -= stored;
        }
        return (0, 0);
    }
}
