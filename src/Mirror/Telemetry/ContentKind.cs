namespace Mirror.Telemetry;

/// <summary>The two kinds of content that clients pull.</summary>
public enum ContentKind
{
    Blob,
    Manifest,
}
