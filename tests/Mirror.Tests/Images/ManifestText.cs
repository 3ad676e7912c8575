using System.Text.Encodings.Web;
using System.Text.Json;
using Mirror.Storage;

namespace Mirror.Tests.Images;

/// <summary>The names of the types an image is made of, in Docker's spelling or in OCI's.</summary>
public readonly record struct ImageTypes(bool Oci)
{
    public string Manifest => Oci ? "application/vnd.oci.image.manifest.v1+json" : "application/vnd.docker.distribution.manifest.v2+json";

    public string Index => Oci ? "application/vnd.oci.image.index.v1+json" : "application/vnd.docker.distribution.manifest.list.v2+json";

    public string Config => Oci ? "application/vnd.oci.image.config.v1+json" : "application/vnd.docker.container.image.v1+json";

    public string Layer => Oci ? "application/vnd.oci.image.layer.v1.tar+gzip" : "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

/// <summary>Writes manifests and indexes.</summary>
internal static class ManifestText
{
    // A media type has a plus sign, and real manifests spell it as such.
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static byte[] Image(ImageTypes types, (Digest Digest, long Size) config, IEnumerable<(Digest Digest, long Size)> layers) =>
        JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            mediaType = types.Manifest,
            config = Descriptor(types.Config, config.Digest, config.Size),
            layers = layers.Select(l => Descriptor(types.Layer, l.Digest, l.Size)),
        }, Plain);

    internal static byte[] Index(ImageTypes types, IEnumerable<(Digest Digest, long Size, string Architecture)> images) =>
        JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            mediaType = types.Index,
            manifests = images.Select(i => new
            {
                mediaType = types.Manifest,
                digest = i.Digest.ToString(),
                size = i.Size,
                platform = new { architecture = i.Architecture, os = "linux" },
            }),
        }, Plain);

    private static object Descriptor(string mediaType, Digest digest, long size) => new { mediaType, digest = digest.ToString(), size };
}
