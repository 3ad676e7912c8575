namespace Mirror.Configuration;

/// <summary>Section <c>ui</c>: the pages below <c>/ui/</c>.</summary>
public sealed class UiOptions
{
    /// <summary>Whether there are pages. Null until the configuration is read: then true where it has a key of this server's own, or where
    /// no file is named. Who runs a file of <c>registry:2</c> has asked for no pages.</summary>
    public bool? Enabled { get; set; }
}
