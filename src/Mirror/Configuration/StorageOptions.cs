namespace Mirror.Configuration;

/// <summary>Section <c>storage</c>: where content is kept and whether it may be deleted.</summary>
public sealed class StorageOptions
{
    public FilesystemOptions Filesystem { get; set; } = new();

    public CacheOptions Cache { get; set; } = new();

    public DeleteOptions Delete { get; set; } = new();

    public MaintenanceOptions Maintenance { get; set; } = new();
}
