using System.Text;
using Mirror.Storage;

namespace Mirror.Bench;

/// <summary>An image that clients request.</summary>
internal static class Image
{
    public const string Repository = "library/app";

    /// <summary>A manifest with eight layers, as many as a usual image on Docker Hub.</summary>
    public static readonly byte[] Manifest = Encoding.UTF8.GetBytes(
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{Config}},"layers":[{{Layers}}]}""");

    private static string Config => Descriptor("application/vnd.oci.image.config.v1+json", 0);

    private static string Layers =>
        string.Join(',', Enumerable.Range(1, 8).Select(i => Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", i)));

    public static string ManifestPath(string reference) => $"/v2/{Repository}/manifests/{reference}";

    public static string BlobPath(Digest digest) => $"/v2/{Repository}/blobs/{digest}";

    private static string Descriptor(string type, int i) =>
        $$"""{"mediaType":"{{type}}","size":{{1000 * (i + 1)}},"digest":"{{Digest.Of([(byte)i])}}"}""";
}
