namespace Mirror.Storage;

/// <summary>The media types of manifests (OCI image-spec "Media Types"; Docker's "Image Manifest V2, Schema 2").</summary>
public static class MediaTypes
{
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    public const string DockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json";
    public const string DockerSchema1 = "application/vnd.docker.distribution.manifest.v1+json";
    public const string DockerSignedSchema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// <summary>From the release candidates of OCI image-spec 1.1; some tools still push it.</summary>
    public const string OciArtifact = "application/vnd.oci.artifact.manifest.v1+json";
    public const string OctetStream = "application/octet-stream";

    /// <summary>The media type of a <c>Content-Type</c>: without parameters, and in lower case because its case means nothing (RFC 9110,
    /// 8.3.1).</summary>
    public static string Of(string contentType) => contentType.Split(';')[0].Trim().ToLowerInvariant();

    /// <summary>True for the types that list other manifests.</summary>
    public static bool IsIndex(string mediaType) => mediaType is OciIndex or DockerManifestList;

    /// <summary>True for the types with which a client may push a manifest.</summary>
    public static bool IsManifest(string mediaType) => IsIndex(mediaType) || mediaType is OciManifest or DockerManifest or OciArtifact;

    /// <summary>True for layers that registries may not distribute: clients download them from the URLs in the manifest.</summary>
    public static bool IsNondistributable(string mediaType) =>
        mediaType.Contains(".nondistributable.", StringComparison.Ordinal) || mediaType.Contains(".foreign.", StringComparison.Ordinal);
}
