namespace Mirror.Tests.Peers;

/// <summary>A Docker Engine of its own with <c>registry-mirrors</c> set, and its client.</summary>
public sealed class Dockerd : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly PeerProcess _process;

    private Dockerd(Uri mirror) => _process = PeerProcess.Start("dockerd",
        [
            // A file that is not there would be the machine's own /etc/docker/daemon.json.
            "--config-file", _folder.Write("daemon.json", $$"""{"registry-mirrors":["{{mirror.GetLeftPart(UriPartial.Authority)}}"]}"""),
            "--data-root", _folder["data"], "--exec-root", _folder["exec"], "--pidfile", _folder["pid"],
            "--iptables=false", "--ip6tables=false", "--bridge=none", "-H", Host,
        ]);

    public static Availability Availability => Availability.OfRoot("dockerd", "docker", "containerd");

    /// <summary>What the daemon has logged.</summary>
    public string Output => _process.Output;

    private string Host => $"unix://{_folder["sock"]}";

    public static async Task<Dockerd> StartAsync(Uri mirror)
    {
        var engine = new Dockerd(mirror);
        await engine._process.UntilAsync(async () =>
        {
            try
            {
                await engine.RunAsync("version");
                return true;
            }
            catch (PeerFailedException)
            {
                return false;
            }
        });
        return engine;
    }

    /// <summary>
    /// <c>docker pull</c>; where the mirror fails, the daemon goes to Docker Hub by itself, so look at what the mirror was asked.
    /// </summary>
    public Task<string> PullAsync(string image) => RunAsync("pull", image);

    /// <summary>Forgets an image, layers and all.</summary>
    public Task<string> RemoveAsync(string image) => RunAsync("rmi", image);

    /// <summary>Any command of the client.</summary>
    public Task<string> RunAsync(params string[] arguments) => PeerProcess.RunAsync(
        "docker", ["-H", Host, .. arguments], new Dictionary<string, string> { ["DOCKER_CONFIG"] = _folder.Folder("client") });

    /// <summary><c>docker build</c> without a network.</summary>
    public Task<string> BuildAsync(string folder, string file, string name, params string[] options) => PeerProcess.RunAsync(
        "docker", ["-H", Host, "build", "--network", "none", "-f", Path.Combine(folder, file), "-t", name, .. options, folder],
        new Dictionary<string, string> { ["DOCKER_CONFIG"] = _folder.Folder("client"), ["DOCKER_BUILDKIT"] = "0" });

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
