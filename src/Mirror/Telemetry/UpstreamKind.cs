namespace Mirror.Telemetry;

/// <summary>The purpose of an upstream request.</summary>
public enum UpstreamKind
{
    Blob,
    Manifest,
    Tags,
    Referrers,

    /// <summary>A bearer token from the upstream's token service.</summary>
    Token,
    Other,
}
