namespace Mirror.Storage.Stores;

/// <summary>How content came into a repository.</summary>
public enum Provenance
{
    /// <summary>It was downloaded from upstream, and can be downloaded again.</summary>
    Copied,

    /// <summary>A client pushed it. No other place has it.</summary>
    Pushed,
}
