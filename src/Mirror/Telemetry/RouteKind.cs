namespace Mirror.Telemetry;

/// <summary>The route of a request: the routes of <c>registry:2</c>, and four more.</summary>
public enum RouteKind
{
    /// <summary><c>/v2/</c></summary>
    Base,
    Manifest,
    Catalog,
    Tags,
    Blob,

    /// <summary><c>/v2/&lt;name&gt;/blobs/uploads/</c></summary>
    BlobUpload,

    /// <summary><c>/v2/&lt;name&gt;/blobs/uploads/&lt;uuid&gt;</c></summary>
    BlobUploadChunk,
    Referrers,

    /// <summary><c>/auth/token</c></summary>
    Token,

    /// <summary><c>/_ping</c>, and all under <c>/v1/</c></summary>
    V1,

    /// <summary>No route of a registry.</summary>
    Other,
}
