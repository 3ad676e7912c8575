namespace Mirror.Storage.GarbageCollection;

/// <summary>What a sweep found and took, or in a dry run would have taken.</summary>
public sealed record SweepResult
{
    /// <summary>How much content is named by some repository.</summary>
    public int Marked { get; set; }

    public int Manifests { get; set; }

    public int Blobs { get; set; }

    public int Links { get; set; }

    /// <summary>Files that dead processes left.</summary>
    public int Leftovers { get; set; }

    /// <summary>Of content and leftovers.</summary>
    public long Bytes { get; set; }
}
