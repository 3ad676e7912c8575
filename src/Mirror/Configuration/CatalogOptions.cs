namespace Mirror.Configuration;

/// <summary>Section <c>catalog</c>.</summary>
public sealed class CatalogOptions
{
    /// <summary>The most repositories on one page of <c>_catalog</c>; 1 or more. A client that asks for more gets an error.</summary>
    public int MaxEntries { get; set; } = 1000;
}

/// <summary>Section <c>tags</c>.</summary>
public sealed class TagsOptions
{
    /// <summary>The most tags on one page of <c>tags/list</c>; 1 or more. A client that asks for more gets this many and a link to the next
    /// page.</summary>
    public int MaxTags { get; set; } = 1000;
}
