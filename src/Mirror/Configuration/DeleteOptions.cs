namespace Mirror.Configuration;

/// <summary>Section <c>storage.delete</c>.</summary>
public sealed class DeleteOptions
{
    /// <summary>Whether clients may delete manifests and blobs. Default false.</summary>
    public bool Enabled { get; set; }
}
