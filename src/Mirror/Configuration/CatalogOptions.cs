namespace Mirror.Configuration;

/// <summary>Section <c>catalog</c>.</summary>
public sealed class CatalogOptions
{
    /// <summary>The most repositories on one page of <c>_catalog</c>; who asks for more is refused. Default 1000.</summary>
    public int MaxEntries { get; set; } = 1000;
}
