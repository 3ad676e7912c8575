using Mirror.Storage.Buckets.Folder;
using Mirror.Storage.Buckets.Split;

namespace Mirror.Storage.Buckets.Elliptics;

/// <summary>
/// Content as objects of Elliptics, and the rest in a folder. Elliptics has no conditional writes, and a list of it may be empty although
/// there are objects. So it cannot say which blobs a repository has.
/// </summary>
public sealed class EllipticsBucket : SplitBucket
{
    private readonly EllipticsObjects _objects;

    /// <param name="time">The clock of time limits.</param>
    public EllipticsBucket(EllipticsOptions options, TimeProvider time) : this(options, new FolderBucket(options.RootDirectory), time)
    {
    }

    private EllipticsBucket(EllipticsOptions options, FolderBucket names, TimeProvider time)
        : this(names, new EllipticsObjects(options, names, time))
    {
    }

    private EllipticsBucket(FolderBucket names, EllipticsObjects objects) : base("elliptics", names, objects) => _objects = objects;

    /// <summary>How long a small call to Rift and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { init => _objects.SmallLimit = value; }
}
