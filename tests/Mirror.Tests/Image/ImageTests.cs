using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Image;

/// <summary>The container image, run by a real Docker Engine in the ways that users of registry:2's image run that one.</summary>
public sealed class ImageTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly string _address = $"127.0.0.1:{Ports.Free()}";
    private Dockerd _engine = null!;

    public async ValueTask InitializeAsync()
    {
        Dockerd.Availability.OrSkip();
        MirrorProcess.Availability.OrSkip();
        _engine = await Dockerd.StartAsync(new Uri("http://127.0.0.1:1"));
        await MirrorImage.BuildAsync(_engine, _folder);
    }

    public async ValueTask DisposeAsync()
    {
        if (_engine is not null)
            await _engine.DisposeAsync();
        _folder.Dispose();
    }

    // One test, since the image takes a while to build.
    [Fact]
    public async Task It_runs_as_the_image_of_registry_2_does()
    {
        // A plain registry, in a volume of its own, as the user that owns the volume.
        var plain = await RunAsync();
        await AnswersAsync("/v2/");
        Assert.Contains("65532", await InsideAsync(plain, "cat", "/proc/1/status"), StringComparison.Ordinal);
        await InsideAsync(plain, "registry", "health");
        // docker stop kills after 10 seconds.
        Assert.Contains("draintimeout: 7s", await InsideAsync(plain, "registry", "check-config"), StringComparison.Ordinal);
        await _engine.RunAsync("import", _folder["root.tar"], $"{_address}/app:1");
        await _engine.RunAsync("push", $"{_address}/app:1");
        await _engine.RunAsync("rm", "-f", plain);

        // A mirror of the registry that a variable names.
        await using var upstream = await DockerRegistry.StartAsync();
        using var skopeo = new Skopeo(upstream.Authority);
        await skopeo.PushAsync(TestImage.Create(seed: 1), $"{upstream.Authority}/library/hello:1");
        var mirror = await RunAsync("-e", $"REGISTRY_PROXY_REMOTEURL={upstream.Url}");
        await AnswersAsync("/v2/library/hello/manifests/1");
        // As registry:2, it takes no push, until the repositories to push to are named.
        await Assert.ThrowsAsync<PeerFailedException>(() => _engine.RunAsync("push", $"{_address}/app:1"));
        await _engine.RunAsync("rm", "-f", mirror);
        var open = await RunAsync("-e", $"REGISTRY_PROXY_REMOTEURL={upstream.Url}", "-e", "REGISTRY_HOSTED_REPOSITORIES=local/**");
        await AnswersAsync("/v2/library/hello/manifests/1");
        await _engine.RunAsync("tag", $"{_address}/app:1", $"{_address}/local/app:1");
        await _engine.RunAsync("push", $"{_address}/local/app:1");

        // It ends by itself, although a client never ends its request.
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(IPEndPoint.Parse(_address), TestContext.Current.CancellationToken);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                $"POST /v2/local/app/blobs/uploads/?digest=sha256:{new string('0', 64)} HTTP/1.1\r\n"
                + $"Host: {_address}\r\nContent-Length: 9\r\n\r\n1"),
                TestContext.Current.CancellationToken);
            await _engine.RunAsync("stop", "-t", "600", open);
            Assert.Equal("0", (await _engine.RunAsync("inspect", "-f", "{{.State.ExitCode}}", open)).Trim());
        }
        await _engine.RunAsync("rm", "-f", open);

        // A mounted file in the place that registry:2 reads, and a volume that belongs to root.
        var config = _folder.Write("own.yml", $$$"""
            version: 0.1
            storage: {filesystem: {rootdirectory: /var/lib/registry}}
            http: {addr: "{{{_address}}}", prefix: /own/}
            """);
        Directory.CreateDirectory(_folder["volume/docker"]);
        var mounted = await RunAsync("-v", $"{config}:/etc/docker/registry/config.yml:ro", "-v", $"{_folder["volume"]}:/var/lib/registry");
        await AnswersAsync("/own/v2/");
        await InsideAsync(mounted, "registry", "health");
        await _engine.RunAsync("rm", "-f", mounted);

        // The file of registry:3's image, by its path.
        var third = await RunAsync("-v", $"{config}:/etc/distribution/config.yml:ro", "-v", $"{_folder["volume"]}:/var/lib/registry");
        await AnswersAsync("/own/v2/");
        await InsideAsync(third, "registry", "health");
        await _engine.RunAsync("rm", "-f", third);

        // A user who may not write there is told what to do.
        var refused = await Assert.ThrowsAsync<PeerFailedException>(() => _engine.RunAsync(
            "run", "--rm", "--network", "host", "--user", "1000", "-v", $"{_folder["volume"]}:/var/lib/registry", MirrorImage.Name));
        Assert.Contains("chown -R 1000 /var/lib/registry", refused.Message, StringComparison.Ordinal);

        // The program that makes passwords.
        var line = await _engine.RunAsync(
            "run", "--rm", "--network", "none", "--entrypoint", "htpasswd", MirrorImage.Name, "-Bbn", "ann", "secret");
        Assert.StartsWith("ann:$2y$", line.Trim(), StringComparison.Ordinal);
    }

    private async Task<string> RunAsync(params string[] options) => (await _engine.RunAsync(
        ["run", "-d", "--network", "host", "-e", $"REGISTRY_HTTP_ADDR={_address}", .. options, MirrorImage.Name])).Trim();

    private Task<string> InsideAsync(string container, params string[] command) => _engine.RunAsync(["exec", container, .. command]);

    private Task AnswersAsync(string path) => Until.TrueAsync(
        async () =>
        {
            try
            {
                using var response = await Http.Client.GetAsync(new Uri($"http://{_address}{path}"), TestContext.Current.CancellationToken);
                return response.StatusCode == HttpStatusCode.OK;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        },
        () => $"no answer to {path}");
}
