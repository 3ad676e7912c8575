using Mirror.Storage;
using Mirror.Tests.Images;

namespace Mirror.Tests.Peers;

/// <summary>skopeo, a client for copies between registries and folders.</summary>
public sealed class Skopeo : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string? _registries;
    private readonly string _logins;

    /// <param name="mirror">The mirror, a host and a path, or null to talk to registries by their own names only.</param>
    /// <param name="registry">The registry that it is a mirror of.</param>
    public Skopeo(string? mirror = null, string registry = "docker.io")
    {
        _logins = _folder.Write("auth.json", "{}");
        if (mirror is not null)
            _registries = _folder.Write("registries.conf", RegistriesConf.With(mirror, registry));
    }

    public static Availability Availability => Availability.Of("skopeo");

    /// <summary>Pushes an image byte for byte.</summary>
    /// <param name="target">Such as <c>127.0.0.1:5000/library/nginx:latest</c>.</param>
    public async Task PushAsync(TestImage image, string target)
    {
        var folder = _folder[$"push-{Guid.NewGuid():N}"];
        if (image.Types.Oci)
            OciLayout.Write(folder, "pushed", image);
        else
            DirLayout.Write(folder, image);
        await CopyAsync(image.Types.Oci ? $"oci:{folder}:pushed" : $"dir:{folder}", $"docker://{target}");
    }

    /// <summary>Pushes an index over images of several architectures.</summary>
    /// <returns>The digest of the index.</returns>
    public async Task<Digest> PushIndexAsync(TestImage[] images, string target)
    {
        var folder = _folder[$"push-{Guid.NewGuid():N}"];
        var digest = OciLayout.WriteIndex(folder, "pushed", images);
        await CopyAsync($"oci:{folder}:pushed", $"docker://{target}");
        return digest;
    }

    /// <summary>Pulls an image into a folder of its own.</summary>
    /// <param name="image">Such as <c>docker.io/library/nginx:latest</c>.</param>
    /// <returns>The folder: <c>manifest.json</c>, and each blob under its digest's hex.</returns>
    public async Task<string> PullAsync(string image)
    {
        var target = _folder[$"pull-{Guid.NewGuid():N}"];
        await CopyAsync($"docker://{image}", $"dir:{target}");
        return target;
    }

    /// <summary><c>skopeo copy</c>, of all architectures.</summary>
    public Task CopyAsync(string source, string target) =>
        RunAsync(["copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", "-q", source, target]);

    /// <summary>Any other verb.</summary>
    public Task<string> RunAsync(params string[] arguments) => PeerProcess.RunAsync(
        "skopeo",
        [
            "--insecure-policy", "--override-os", "linux", "--override-arch", "amd64",
            .. _registries is null ? [] : (string[])["--registries-conf", _registries],
            .. arguments,
        ],
        new Dictionary<string, string> { ["REGISTRY_AUTH_FILE"] = _logins, ["HOME"] = _folder.Path });

    public void Dispose() => _folder.Dispose();
}
