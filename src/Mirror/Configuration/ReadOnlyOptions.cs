namespace Mirror.Configuration;

/// <summary>Section <c>storage.maintenance.readonly</c>.</summary>
public sealed class ReadOnlyOptions
{
    /// <summary>Whether clients may change nothing: no push, no delete. A mirror goes on filling its cache. Default false.</summary>
    public bool Enabled { get; set; }
}
