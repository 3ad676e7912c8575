namespace Mirror.Storage.GarbageCollection;

/// <summary>What a sweep may take.</summary>
public sealed record SweepOptions
{
    /// <summary>What was renewed less than this before the sweep began stays: a push puts its blobs first and names them later.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Whether manifests that no tag names, directly or through an index or as the subject of a referrer, go too.</summary>
    public bool DeleteUntagged { get; init; }

    /// <summary>Whether only to say what would go.</summary>
    public bool DryRun { get; init; }
}
