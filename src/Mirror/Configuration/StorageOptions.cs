using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.Elliptics;
using Mirror.Storage.Buckets.Gcs;
using Mirror.Storage.Buckets.Glance;
using Mirror.Storage.Buckets.Memory;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Buckets.Swift;

namespace Mirror.Configuration;

/// <summary>Section <c>storage</c>: where content is kept, and what may be deleted.</summary>
public sealed class StorageOptions
{
    /// <summary>The folder for content, unless a bucket is set.</summary>
    public FilesystemOptions Filesystem { get; set; } = new();

    /// <summary>The bucket of S3 for content. Null: another store keeps it.</summary>
    public S3Options? S3 { get; set; }

    /// <summary>The bucket of Aliyun OSS for content. Null: another store keeps it.</summary>
    public OssOptions? Oss { get; set; }

    /// <summary>The bucket of Google Cloud Storage for content. Null: another store keeps it.</summary>
    public GcsOptions? Gcs { get; set; }

    /// <summary>The container of Azure Blob Storage for content. Null: another store keeps it.</summary>
    public AzureOptions? Azure { get; set; }

    /// <summary>The container of OpenStack Swift for content. Null: another store keeps it.</summary>
    public SwiftOptions? Swift { get; set; }

    /// <summary>OpenStack Glance for content, with a folder or a container for the rest. Null: another store keeps it.</summary>
    public GlanceOptions? Glance { get; set; }

    /// <summary>Elliptics for content, by its HTTP front Rift, with a folder for the rest. Null: another store keeps it.</summary>
    public EllipticsOptions? Elliptics { get; set; }

    /// <summary>The memory of the process for content. Null: another store keeps it.</summary>
    public MemoryOptions? InMemory { get; set; }

    /// <summary>The bucket for content, at any service or in memory. Null: the store is a folder.</summary>
    public BucketOptions? Bucket()
    {
        BucketOptions?[] buckets = [S3, Oss, Gcs, Azure, Swift, Glance, Elliptics, InMemory];
        return Array.Find(buckets, bucket => bucket is not null);
    }

    /// <summary>The name of the store's section.</summary>
    public string Driver => Bucket() switch
    {
        S3Options => "s3",
        OssOptions => "oss",
        GcsOptions => "gcs",
        AzureOptions => "azure",
        SwiftOptions => "swift",
        GlanceOptions => "glance",
        EllipticsOptions => "elliptics",
        MemoryOptions => "inmemory",
        _ => "filesystem",
    };

    public DeleteOptions Delete { get; set; } = new();
    public RedirectOptions Redirect { get; set; } = new();
    public CacheOptions Cache { get; set; } = new();
    public TagOptions Tag { get; set; } = new();
    public MaintenanceOptions Maintenance { get; set; } = new();

    /// <summary>The place of the store, as logs show it.</summary>
    public string Location => Bucket()?.Location ?? Filesystem.RootDirectory;

    /// <summary>The local folder for waiting notifications: the store's own folder, or the scratch folder of a bucket.</summary>
    public string LocalDirectory => Bucket()?.Scratch ?? Filesystem.RootDirectory;
}

/// <summary>Section <c>storage.filesystem</c>: content as files, in the layout of <c>registry:2</c>.</summary>
public sealed class FilesystemOptions
{
    /// <summary>The folder that holds <c>docker/registry/v2</c>. Without a configuration file it is <c>./mirror-data</c>.</summary>
    public string RootDirectory { get; set; } = "/var/lib/registry";
}

/// <summary>Section <c>storage.delete</c>.</summary>
public sealed class DeleteOptions
{
    /// <summary>Whether clients may delete manifests, tags and blobs.</summary>
    public bool Enabled { get; set; }
}

/// <summary>Section <c>storage.tag</c>.</summary>
public sealed class TagOptions
{
    /// <summary>How many tags of a repository are read at the same time when a manifest is deleted. Zero: as many as there are
    /// processors.</summary>
    public int ConcurrencyLimit { get; set; }
}

/// <summary>Section <c>storage.redirect</c>.</summary>
public sealed class RedirectOptions
{
    /// <summary>Whether the server always sends blobs itself, even if it could redirect clients to the bucket.</summary>
    public bool Disable { get; set; }
}

/// <summary>Section <c>storage.cache</c>.</summary>
public sealed class CacheOptions
{
    /// <summary><c>none</c>, <c>inmemory</c> or <c>redis</c>. Null: <c>redis</c> if section <c>redis</c> names a server, else
    /// <c>inmemory</c>.</summary>
    public string? BlobDescriptor { get; set; }
}

/// <summary>Section <c>storage.maintenance</c>.</summary>
public sealed class MaintenanceOptions
{
    public UploadPurgingOptions UploadPurging { get; set; } = new();
    public ReadOnlyOptions ReadOnly { get; set; } = new();
    public GarbageCollectOptions GarbageCollect { get; set; } = new();
}

/// <summary>Section <c>storage.maintenance.uploadpurging</c>: the removal of uploads that clients began and did not finish.</summary>
public sealed class UploadPurgingOptions
{
    public bool Enabled { get; set; } = true;

    /// <summary>An upload that received no bytes for this long is removed.</summary>
    public TimeSpan Age { get; set; } = TimeSpan.FromDays(7);

    /// <summary>The time between two removals.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Whether the server only logs what it would remove.</summary>
    public bool DryRun { get; set; }
}

/// <summary>Section <c>storage.maintenance.readonly</c>.</summary>
public sealed class ReadOnlyOptions
{
    /// <summary>Whether clients can neither push nor delete. A mirror still stores what it downloads.</summary>
    public bool Enabled { get; set; }
}

/// <summary>Section <c>storage.maintenance.garbagecollect</c>: the removal of content that no manifest and no tag names, while the registry
/// serves.</summary>
public sealed class GarbageCollectOptions
{
    /// <summary>Whether the server collects garbage on a schedule. The command <c>garbage-collect</c> works in both cases.</summary>
    public bool Enabled { get; set; }

    /// <summary>The time between two collections; a second or more.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Content that was pushed or read within this time stays. It must be longer than any push takes.</summary>
    public TimeSpan Grace { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Whether manifests without a tag are removed too, unless a tagged index lists them or they refer to a manifest that
    /// stays.</summary>
    public bool DeleteUntagged { get; set; }
}
