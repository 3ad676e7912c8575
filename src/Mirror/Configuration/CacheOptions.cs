namespace Mirror.Configuration;

/// <summary>Section <c>storage.cache</c>.</summary>
public sealed class CacheOptions
{
    /// <summary><c>none</c>, <c>inmemory</c> or <c>redis</c>; null (the default) is <c>redis</c> where a server is named, otherwise memory alone.</summary>
    public string? BlobDescriptor { get; set; }
}
