using Mirror.Storage.Buckets.S3;

namespace Mirror.Configuration;

/// <summary>Section <c>storage</c>: where content is kept and whether it may be deleted.</summary>
public sealed class StorageOptions
{
    /// <summary>Where content is kept unless <see cref="S3"/> is given.</summary>
    public FilesystemOptions Filesystem { get; set; } = new();

    /// <summary>The bucket where content is kept; null where it is kept in files.</summary>
    public S3Options? S3 { get; set; }

    /// <summary>Where content is kept, as logs say it.</summary>
    public string Place => S3 is { } s3 ? $"s3://{s3.Bucket}/{s3.RootDirectory.Trim('/')}" : Filesystem.RootDirectory;

    /// <summary>The folder on this machine for what is on its way, such as notifications: the store's own, or a bucket's scratch folder.</summary>
    public string Local => S3?.Scratch ?? Filesystem.RootDirectory;

    public RedirectOptions Redirect { get; set; } = new();

    public CacheOptions Cache { get; set; } = new();

    public DeleteOptions Delete { get; set; } = new();

    public MaintenanceOptions Maintenance { get; set; } = new();
}
