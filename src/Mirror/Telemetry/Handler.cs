namespace Mirror.Telemetry;

/// <summary>The route that answered: <c>registry:2</c>'s route names, and two it has not.</summary>
public enum Handler
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

public static class HandlerWords
{
    extension(Handler handler)
    {
        /// <summary>The label's value. A constant: nothing is allocated.</summary>
        public string Word => handler switch
        {
            Handler.Base => "base",
            Handler.Manifest => "manifest",
            Handler.Catalog => "catalog",
            Handler.Tags => "tags",
            Handler.Blob => "blob",
            Handler.BlobUpload => "blob_upload",
            Handler.BlobUploadChunk => "blob_upload_chunk",
            Handler.Referrers => "referrers",
            Handler.Other => "other",
            _ => throw new ArgumentOutOfRangeException(nameof(handler)),
        };
    }
}
