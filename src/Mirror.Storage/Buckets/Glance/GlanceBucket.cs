using Mirror.Storage.Buckets.Folder;
using Mirror.Storage.Buckets.Split;
using Mirror.Storage.Buckets.Swift;

namespace Mirror.Storage.Buckets.Glance;

/// <summary>Content as images of Glance, and the rest in a folder, or in a container of Swift.</summary>
public sealed class GlanceBucket : SplitBucket
{
    private readonly IBucket _names;
    private readonly GlanceImages _images;

    /// <param name="time">The clock of time limits.</param>
    /// <param name="makesContainer">Whether a missing container of Swift is made.</param>
    public GlanceBucket(GlanceOptions options, TimeProvider time, bool makesContainer = true) : this(
        options,
        options.Container is null ? new FolderBucket(options.RootDirectory)
            : new SwiftBucket(options.NamesInSwift(), time, makesContainer),
        time)
    {
    }

    private GlanceBucket(GlanceOptions options, IBucket names, TimeProvider time) : this(names, new GlanceImages(options, names, time))
    {
    }

    private GlanceBucket(IBucket names, GlanceImages images) : base("glance", names, images) => (_names, _images) = (names, images);

    /// <summary>How long a small call to Glance or Swift and its repetitions may take.</summary>
    internal TimeSpan SmallLimit
    {
        init
        {
            _images.SmallLimit = value;
            if (_names is SwiftBucket swift)
                swift.SmallLimit = value;
        }
    }
}
