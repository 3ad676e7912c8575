using System.Text.Json;
using Mirror.Storage;

namespace Mirror.Tests.Images;

/// <summary>
/// Writes images as an OCI image layout, the folder form that skopeo pushes from (OCI image-spec, "Image Layout").
/// Images in OCI's types only.
/// </summary>
public static class OciLayout
{
    /// <summary>Writes one image under a tag.</summary>
    public static void Write(string folder, string tag, TestImage image)
    {
        WriteBlobs(folder, image);
        WriteEntry(folder, tag, image.Types.Manifest, image.Digest, image.Manifest.Length);
    }

    /// <summary>Writes an index over images of several architectures under a tag.</summary>
    /// <returns>The digest of the index.</returns>
    public static Digest WriteIndex(string folder, string tag, params TestImage[] images)
    {
        foreach (var image in images)
            WriteBlobs(folder, image);
        var index = ManifestText.Index(images[0].Types, images.Select(i => (i.Digest, (long)i.Manifest.Length, i.Architecture)));
        var digest = WriteBlob(folder, index);
        WriteEntry(folder, tag, images[0].Types.Index, digest, index.Length);
        return digest;
    }

    private static void WriteBlobs(string folder, TestImage image)
    {
        foreach (var layer in image.Layers)
            WriteBlob(folder, layer.Bytes);
        WriteBlob(folder, image.Config);
        WriteBlob(folder, image.Manifest);
    }

    private static Digest WriteBlob(string folder, byte[] bytes)
    {
        var digest = Digest.Of(bytes);
        var directory = Directory.CreateDirectory(Path.Combine(folder, "blobs", digest.Algorithm));
        File.WriteAllBytes(Path.Combine(directory.FullName, digest.Hex), bytes);
        return digest;
    }

    private static void WriteEntry(string folder, string tag, string mediaType, Digest digest, long size)
    {
        File.WriteAllText(Path.Combine(folder, "oci-layout"), """{"imageLayoutVersion":"1.0.0"}""");
        File.WriteAllBytes(Path.Combine(folder, "index.json"), JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            manifests = new[]
            {
                new
                {
                    mediaType,
                    digest = digest.ToString(),
                    size,
                    annotations = new Dictionary<string, string> { ["org.opencontainers.image.ref.name"] = tag },
                },
            },
        }));
    }
}
