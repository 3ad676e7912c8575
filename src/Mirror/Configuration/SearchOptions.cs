namespace Mirror.Configuration;

/// <summary>Section <c>search</c>: what <c>/v1/search</c> looks into.</summary>
public sealed class SearchOptions
{
    /// <summary>The database of the index, as a URL of SQLAlchemy. Null: the names of the store are looked into.</summary>
    public string? Database { get; set; }

    /// <summary>Whether mirrored repositories are in the index, beside those that clients push to.</summary>
    public bool Mirrored { get; set; }

    /// <summary>Another registry with <c>/v1/search</c>, whose results are added. Null: none.</summary>
    [ConfigurationKeyName("source_index")]
    public Uri? SourceIndex { get; set; }
}
