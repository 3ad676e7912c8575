using Mirror.Storage.Buckets.Folder;
using Mirror.Storage.Buckets.Split;

namespace Mirror.Storage.Buckets.Elliptics;

/// <summary>
/// Content as objects of Elliptics, and the rest in a folder. Elliptics has no conditional writes, and a list of it may be empty although
/// there are objects. So it cannot say which blobs a repository has.
/// </summary>
public sealed class EllipticsBucket : SplitBucket
{
    /// <param name="time">The clock of time limits.</param>
    public EllipticsBucket(EllipticsOptions options, TimeProvider time) : this(options, new FolderBucket(options.RootDirectory), time)
    {
    }

    private EllipticsBucket(EllipticsOptions options, FolderBucket names, TimeProvider time)
        : base("elliptics", names, new EllipticsObjects(options, names, time))
    {
    }
}
