namespace Mirror.Configuration;

/// <summary>Section <c>storage.maintenance</c>.</summary>
public sealed class MaintenanceOptions
{
    public UploadPurgingOptions UploadPurging { get; set; } = new();

    public ReadOnlyOptions ReadOnly { get; set; } = new();

    public GarbageCollectOptions GarbageCollect { get; set; } = new();
}
