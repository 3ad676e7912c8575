namespace Mirror.Configuration;

/// <summary>Section <c>storage.maintenance</c>.</summary>
public sealed class MaintenanceOptions
{
    public GarbageCollectOptions GarbageCollect { get; set; } = new();
}
