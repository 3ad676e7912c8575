using Xunit;

namespace Mirror.Tests.Peers;

/// <summary>A containerd of its own, and <c>ctr</c> with a <c>hosts.toml</c> that names the mirror.</summary>
public sealed class Containerd : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly PeerProcess _process;

    private Containerd(Uri mirror, string registry)
    {
        _folder.Write(System.IO.Path.Combine("certs.d", registry, "hosts.toml"), $"""
            server = "{mirror.GetLeftPart(UriPartial.Authority)}"
            [host."{mirror.GetLeftPart(UriPartial.Authority)}"]
              capabilities = ["pull", "resolve", "push"]
            """);
        var config = _folder.Write("config.toml", $"""
            version = 2
            root = "{_folder["root"]}"
            state = "{_folder["state"]}"
            disabled_plugins = ["io.containerd.grpc.v1.cri"]
            [grpc]
              address = "{Socket}"
            [ttrpc]
              address = "{Socket}.ttrpc"
            """);
        _process = PeerProcess.Start("containerd", ["--config", config]);
    }

    public static Availability Availability => Availability.OfRoot("containerd", "ctr");

    private string Socket => _folder["sock"];

    /// <param name="registry">The registry that the mirror stands for, with its port where it has one.</param>
    public static async Task<Containerd> StartAsync(Uri mirror, string registry = "docker.io")
    {
        var containerd = new Containerd(mirror, registry);
        await containerd._process.UntilAsync(async () =>
        {
            try
            {
                await containerd.RunAsync("version");
                return true;
            }
            catch (PeerFailedException)
            {
                return false;
            }
        });
        return containerd;
    }

    /// <param name="image">In full, such as <c>docker.io/library/nginx:latest</c>.</param>
    public Task<string> PullAsync(string image) => RunAsync("images", "pull", "--hosts-dir", _folder["certs.d"], image);

    public Task<string> PushAsync(string image) => RunAsync("images", "push", "--hosts-dir", _folder["certs.d"], image);

    /// <summary>Forgets an image and its content.</summary>
    public Task<string> RemoveAsync(string image) => RunAsync("images", "rm", "--sync", image);

    /// <summary>Any command of ctr.</summary>
    public async Task<string> RunAsync(params string[] arguments)
    {
        for (var left = 2; ; left--)
        {
            try
            {
                return await PeerProcess.RunAsync("ctr", ["-a", Socket, .. arguments]);
            }
            // Now and then ctr loses a message of its own daemon, with which it speaks gRPC. No registry has a part in that.
            catch (PeerFailedException failed) when (
                left > 0 && failed.Message.Contains("code = Internal desc = unexpected EOF", StringComparison.Ordinal))
            {
                TestContext.Current.TestOutputHelper?.WriteLine(failed.Message);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
