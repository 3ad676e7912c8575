namespace Mirror.Configuration;

/// <summary>Section <c>catalog</c>.</summary>
public sealed class CatalogOptions
{
    private const int Default = 1000;

    /// <summary>The most repositories on one page of <c>_catalog</c>. Zero and less mean the default. A client that asks for more gets an
    /// error.</summary>
    public int MaxEntries { get; set => field = value > 0 ? value : Default; } = Default;
}

/// <summary>Section <c>tags</c>.</summary>
public sealed class TagsOptions
{
    private const int Default = 1000;

    /// <summary>The most tags on one page of <c>tags/list</c>. Zero means the default. A client that asks for more gets this many, and a
    /// link to the next page.</summary>
    public int MaxTags { get; set => field = value > 0 ? value : Default; } = Default;
}
