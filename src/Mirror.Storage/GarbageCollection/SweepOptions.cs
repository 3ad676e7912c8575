namespace Mirror.Storage.GarbageCollection;

/// <summary>What a sweep may delete.</summary>
public sealed record SweepOptions
{
    /// <summary>
    /// Content that was touched less than this before the sweep began stays: a push sends its blobs first and names them later.
    /// </summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Whether to delete manifests that no tag names, directly, through an index, or as the subject of a referrer.</summary>
    public bool DeleteUntagged { get; init; }

    /// <summary>
    /// Whether clients may push to a repository. In all others <see cref="DeleteUntagged"/> deletes only what came from an upstream that
    /// still has it: see <see cref="IsMirrored"/>.
    /// </summary>
    public Func<RepositoryName, bool> IsHosted { get; init; } = _ => true;

    /// <summary>Whether an upstream is configured from which the copies of a repository can be fetched again.</summary>
    public Func<RepositoryName, bool> IsMirrored { get; init; } = _ => true;

    /// <summary>Which orphaned repositories are given up. Null: no orphans are looked for, which costs fewer reads.</summary>
    public Func<RepositoryName, bool>? IsReleased { get; init; }

    /// <summary>Whether to count the manifests that <see cref="DeleteUntagged"/> would delete, which costs more reads.</summary>
    public bool CountUntagged { get; init; }

    /// <summary>Is told how far the sweep is.</summary>
    public SweepProgress Progress { get; init; } = new();

    /// <summary>
    /// Whether content is deleted also where no repository is found. All content would go, so a wrong folder, or a list of the store that
    /// is wrongly empty, would cost everything.
    /// </summary>
    public bool IsWithoutRepositories { get; init; }

    /// <summary>Whether only to report what would be deleted.</summary>
    public bool DryRun { get; init; }
}
