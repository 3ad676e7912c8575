
namespace Mirror.Telemetry;

/// <summary>The route that answered: <c>registry:2</c>'s route names, and two it has not.</summary>
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

    /// <summary>Whatever is no route of a registry.</summary>
    Other,
}

public static class RouteKindLabels
{
    extension(RouteKind kind)
    {
        /// <summary>The label's value. A constant: nothing is allocated.</summary>
        public string Label => kind switch
        {
            RouteKind.Base => "base",
            RouteKind.Manifest => "manifest",
            RouteKind.Catalog => "catalog",
            RouteKind.Tags => "tags",
            RouteKind.Blob => "blob",
            RouteKind.BlobUpload => "blob_upload",
            RouteKind.BlobUploadChunk => "blob_upload_chunk",
            RouteKind.Referrers => "referrers",
            RouteKind.Other => "other",
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        };
    }
}
