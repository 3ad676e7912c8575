using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary>Real clients at one mirror: they pull without a login, push with a password, and are refused in their own words.</summary>
public sealed class AccessRealClientsTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          rules:
          - {who: {anonymous: true}, repositories: ["library/**", "local/**"], actions: [pull]}
          - {who: {users: [alice]}, repositories: ["local/team/**"], actions: [pull, push]}

        """;

    private readonly TempFolder _folder = new();
    private readonly TestImage _image = TestImage.Create(seed: 61, layers: 2);
    private ScriptedHub _hub = null!;
    private MirrorProcess _mirror = null!;

    private string Mine => $"{_mirror.Authority}/local/team/hello:1";

    private string Others => $"{_mirror.Authority}/local/other/hello:1";

    public async ValueTask DisposeAsync()
    {
        if (_mirror is not null)
            await _mirror.DisposeAsync();
        if (_hub is not null)
            await _hub.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Dockerd_pulls_without_a_login_and_pushes_with_a_password()
    {
        Dockerd.Availability.OrSkip();
        await StartAsync();
        await using var dockerd = await Dockerd.StartAsync(_mirror.Url);
        await dockerd.PullAsync("hello:1");
        foreach (var target in new[] { Mine, Others })
            await dockerd.RunAsync("tag", "hello:1", target);
        await FailsAsync(dockerd.RunAsync("push", Mine), "denied: requested access to the resource is denied", "unauthorized");
        await FailsAsync(dockerd.RunAsync("login", "-u", "alice", "-p", "wrong", _mirror.Authority), "unauthorized");
        await dockerd.RunAsync("login", "-u", "alice", "-p", PasswordFile.Password, _mirror.Authority);
        await dockerd.RunAsync("push", Mine);
        await FailsAsync(dockerd.RunAsync("push", Others), "denied: requested access to the resource is denied");
        await dockerd.RunAsync("logout", _mirror.Authority);
        await dockerd.RemoveAsync(Mine);
        await dockerd.PullAsync(Mine);
    }

    [Fact]
    public async Task Podman_pulls_without_a_login_and_pushes_with_a_password()
    {
        Podman.Availability.OrSkip();
        await StartAsync();
        await using var podman = new Podman(_mirror.Authority);
        await podman.PullAsync("docker.io/library/hello:1");
        await FailsAsync(PushAsync(Mine), "denied", "unauthorized");
        await FailsAsync(
            podman.RunAsync("login", "--tls-verify=false", "-u", "alice", "-p", "wrong", _mirror.Authority), "invalid username/password");
        await podman.RunAsync("login", "--tls-verify=false", "-u", "alice", "-p", PasswordFile.Password, _mirror.Authority);
        await PushAsync(Mine);
        await FailsAsync(PushAsync(Others), "denied");
        await podman.RunAsync("logout", _mirror.Authority);
        await podman.RunAsync("pull", "-q", "--tls-verify=false", Mine);

        Task PushAsync(string target) =>
            podman.RunAsync("push", "-q", "--tls-verify=false", "docker.io/library/hello:1", $"docker://{target}");
    }

    [Fact]
    public async Task Skopeo_pulls_without_a_login_and_pushes_with_a_password()
    {
        Skopeo.Availability.OrSkip();
        await StartAsync();
        using var skopeo = new Skopeo();
        await skopeo.PullAsync($"{_mirror.Authority}/library/hello:1");
        await FailsAsync(skopeo.PushAsync(_image, Mine), "denied", "unauthorized");
        await skopeo.RunAsync("login", "--tls-verify=false", "-u", "alice", "-p", PasswordFile.Password, _mirror.Authority);
        await skopeo.PushAsync(_image, Mine);
        await FailsAsync(skopeo.PushAsync(_image, Others), "denied");
        await skopeo.RunAsync("logout", _mirror.Authority);
        await skopeo.PullAsync(Mine);
    }

    [Fact]
    public async Task Containerd_pulls_without_a_login_and_pushes_with_a_password()
    {
        Containerd.Availability.OrSkip();
        await StartAsync();
        await using var containerd = await Containerd.StartAsync(_mirror.Url);
        await containerd.PullAsync("docker.io/library/hello:1");
        foreach (var target in new[] { Mine, Others })
            await containerd.RunAsync("images", "tag", "docker.io/library/hello:1", target);
        var alice = $"alice:{PasswordFile.Password}";
        await FailsAsync(containerd.RunAsync("images", "push", "--plain-http", Mine), "authorization failed", "401");
        await FailsAsync(containerd.RunAsync("images", "push", "--plain-http", "-u", "alice:wrong", Mine), "401");
        await containerd.RunAsync("images", "push", "--plain-http", "-u", alice, Mine);
        await FailsAsync(containerd.RunAsync("images", "push", "--plain-http", "-u", alice, Others), "403", "authorization failed");
        await containerd.RemoveAsync(Mine);
        await containerd.RunAsync("images", "pull", "--plain-http", Mine);
    }

    /// <summary>Expects a client to fail with one of these texts.</summary>
    private static async Task FailsAsync(Task client, params string[] texts)
    {
        var failed = await Assert.ThrowsAsync<PeerFailedException>(() => client);
        Assert.True(texts.Any(text => failed.Message.Contains(text, StringComparison.OrdinalIgnoreCase)), failed.Message);
    }

    private async Task StartAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _hub = await ScriptedHub.StartAsync();
        _hub.AddImage("library/hello", "1", _image);
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _hub.Url, More = PasswordFile.Section(_folder) + Rules });
    }
}
