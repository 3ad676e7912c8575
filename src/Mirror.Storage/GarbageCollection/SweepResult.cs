namespace Mirror.Storage.GarbageCollection;

/// <summary>What a sweep deleted, or in a dry run would have deleted.</summary>
public sealed record SweepResult
{
    /// <summary>How much content is in use, counted in digests.</summary>
    public int Marked { get; set; }

    /// <summary>The orphaned repositories that were kept, where <see cref="SweepOptions.IsReleased"/> asked for them.</summary>
    public List<Orphan> Orphans { get; } = [];

    /// <summary>The tags and linked manifests that do not show what they name, each with the reason, and what was kept because of
    /// it.</summary>
    public SortedSet<string> Problems { get; } = new(StringComparer.Ordinal);

    public int Manifests { get; set; }

    /// <summary>Manifests that no tag names, directly, through an index, or as a subject; where they were deleted or counted.</summary>
    public int Untagged { get; set; }

    /// <summary>Untagged manifests that only the grace keeps.</summary>
    public int YoungManifests { get; set; }

    /// <summary>Content that nothing names and that only the grace keeps.</summary>
    public int Young { get; set; }

    public long YoungBytes { get; set; }

    public int Blobs { get; set; }

    public int Links { get; set; }

    /// <summary>Temporary files of processes that died.</summary>
    public int Leftovers { get; set; }

    /// <summary>The bytes of content and leftovers.</summary>
    public long Bytes { get; set; }
}
