namespace Mirror.Telemetry;

/// <summary>What an upstream request was for.</summary>
public enum UpstreamKind
{
    Blob,
    Manifest,
    Tags,
    Referrers,

    /// <summary>A bearer token from the upstream's token origin.</summary>
    Token,

    /// <summary><c>GET /v2/</c>, to learn how upstream wants to be authenticated.</summary>
    Ping,
    Other,
}

public static class UpstreamKindWords
{
    extension(UpstreamKind kind)
    {
        /// <summary>The lower-case word. A constant: nothing is allocated.</summary>
        public string Label => kind switch
        {
            UpstreamKind.Blob => "blob",
            UpstreamKind.Manifest => "manifest",
            UpstreamKind.Tags => "tags",
            UpstreamKind.Referrers => "referrers",
            UpstreamKind.Token => "token",
            UpstreamKind.Ping => "ping",
            UpstreamKind.Other => "other",
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        };
    }
}
