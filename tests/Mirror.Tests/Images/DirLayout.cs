using Mirror.Storage;

namespace Mirror.Tests.Images;

/// <summary>
/// Writes an image as skopeo's plain folder: <c>manifest.json</c>, and each blob under its digest's hex. It takes Docker's own types, which
/// an OCI layout has no place for, so that an image can be pushed byte for byte.
/// </summary>
public static class DirLayout
{
    public static void Write(string folder, TestImage image)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "version"), "Directory Transport Version: 1.1\n");
        File.WriteAllBytes(Path.Combine(folder, "manifest.json"), image.Manifest);
        File.WriteAllBytes(Path.Combine(folder, Digest.Of(image.Config).Hex), image.Config);
        foreach (var layer in image.Layers)
            File.WriteAllBytes(Path.Combine(folder, layer.Digest.Hex), layer.Bytes);
    }
}
