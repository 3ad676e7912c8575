namespace Mirror.Storage;

/// <summary>The media types of manifests (OCI image-spec "Media Types"; Docker's "Image Manifest V2, Schema 2").</summary>
public static class MediaTypes
{
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    public const string DockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json";
    public const string DockerSignedSchema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// <summary>Of OCI image-spec 1.1's release candidates; tools of those days push it still.</summary>
    public const string OciArtifact = "application/vnd.oci.artifact.manifest.v1+json";
    public const string OctetStream = "application/octet-stream";

    /// <summary>True for the types that list other manifests.</summary>
    public static bool IsIndex(string mediaType) => mediaType is OciIndex or DockerManifestList;

    /// <summary>True for the types that a manifest may be pushed with.</summary>
    public static bool IsManifest(string mediaType) => IsIndex(mediaType) || mediaType is OciManifest or DockerManifest or OciArtifact;

    /// <summary>True for layers that their makers do not let registries keep: they are fetched from the URLs that the manifest gives.</summary>
    public static bool IsNondistributable(string mediaType) =>
        mediaType.Contains(".nondistributable.", StringComparison.Ordinal) || mediaType.Contains(".foreign.", StringComparison.Ordinal);
}
