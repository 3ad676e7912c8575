namespace Mirror.Tests.Peers;

/// <summary>podman, with a storage of its own.</summary>
public sealed class Podman : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string _policy;
    private readonly Dictionary<string, string> _environment;

    /// <param name="mirror">Host and port of the mirror of docker.io.</param>
    public Podman(string mirror)
    {
        _policy = _folder.Write("policy.json", """{"default":[{"type":"insecureAcceptAnything"}]}""");
        _environment = new()
        {
            ["CONTAINERS_REGISTRIES_CONF"] = _folder.Write("registries.conf", RegistriesConf.With(mirror)),
            ["REGISTRY_AUTH_FILE"] = _folder.Write("auth.json", "{}"),
        };
    }

    public static Availability Availability => Availability.OfRoot("podman");

    public Task<string> PullAsync(string image) => RunAsync("pull", "-q", "--signature-policy", _policy, image);

    public Task<string> RunAsync(params string[] arguments) => PeerProcess.RunAsync(
        "podman",
        [
            "--root", _folder["root"], "--runroot", _folder["run"], "--storage-driver", "overlay",
            "--cgroup-manager", "cgroupfs", "--events-backend", "file", .. arguments,
        ],
        _environment);

    public async ValueTask DisposeAsync()
    {
        // Its storage holds mounts that only podman itself lets go of.
        await RunAsync("system", "reset", "--force");
        _folder.Dispose();
    }
}
