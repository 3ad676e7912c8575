namespace Mirror.Configuration;

/// <summary>Section <c>storage.maintenance.garbagecollect</c>: removing what nothing names, while the registry serves.</summary>
public sealed class GarbageCollectOptions
{
    /// <summary>Whether the server collects by itself. Default false; the verb <c>garbage-collect</c> works either way.</summary>
    public bool Enabled { get; set; }

    /// <summary>How long from one collection to the next. Default 24 hours.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromHours(24);

    /// <summary>How long what was pushed or asked for lately stays although nothing names it yet. Default 1 hour; longer than any push takes.</summary>
    public TimeSpan Grace { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Whether manifests without a tag go too, unless a tagged index lists them or they refer to one that stays. Default false.</summary>
    public bool DeleteUntagged { get; set; }
}
