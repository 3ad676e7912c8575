namespace Mirror.Storage.Buckets.Elliptics;

/// <summary>
/// Section <c>storage.elliptics</c>: each content is an object of Elliptics, by its HTTP front Rift. Everything else, such as tags, is in
/// a folder.
/// </summary>
public sealed class EllipticsOptions : BucketOptions
{
    /// <summary>Content is sent whole: an object that is sent in parts cannot be read meanwhile.</summary>
    public EllipticsOptions() => base.ChunkSize = long.MaxValue;

    public override string Location => $"elliptics with {RootDirectory}";

    public override string Identity => $"{string.Join(' ', Endpoints)} {Bucket} {Location}";

    public override string? NamesFolder => RootDirectory;

    /// <summary>The addresses of Rift. If one cannot be reached, the next one is asked.</summary>
    public string[] Endpoints { get; set; } = [];

    /// <summary>Rift's bucket for the objects. Null: the server has no buckets.</summary>
    public string? Bucket { get; set; }

    /// <summary>The user who may write to the bucket. Null: requests have no signature.</summary>
    public string? Username { get; set; }

    /// <summary>The key that signs the user's requests.</summary>
    public string? Token { get; set; }

    /// <summary>The folder for everything but content.</summary>
    public string RootDirectory { get; set; } = "/var/lib/registry";

    /// <summary>No setting: see the constructor.</summary>
    public new long ChunkSize => base.ChunkSize;
}
