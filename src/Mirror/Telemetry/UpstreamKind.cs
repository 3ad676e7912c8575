namespace Mirror.Telemetry;

/// <summary>What an upstream request is for.</summary>
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
