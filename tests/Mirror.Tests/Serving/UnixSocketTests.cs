using System.Net.Sockets;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary><c>http.net: unix</c>.</summary>
public sealed class UnixSocketTests : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private PeerProcess? _server;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_socket_serves_clients_commands_and_a_proxy_that_says_who_asks()
    {
        MirrorProcess.Availability.OrSkip();
        var config = Config();
        // 1. The socket of a server that was killed is no obstacle; a file is, and a server is.
        await StartAsync(config);
        await _server!.KillAsync();
        Assert.True(Path.Exists(_folder["mirror.sock"]));
        await StartAsync(config);
        Assert.Contains("another server", await RefusalAsync(config));

        // 2. A client; the proxy that it came through says where from.
        using var http = Client();
        using (var request = new HttpRequestMessage(HttpMethod.Get, "http://localhost/v2/"))
        {
            request.Headers.Add("X-Forwarded-For", "192.0.2.7");
            request.Headers.Add("Authorization", PasswordFile.Basic("alice"));
            using var answer = await http.SendAsync(request, Cancel);
            Assert.True(answer.IsSuccessStatusCode);
        }
        using (var direct = await http.GetAsync("http://localhost/_ping", Cancel))
            Assert.True(direct.IsSuccessStatusCode);
        await Until.TrueAsync(
            () => _server!.Lines.Any(line => line.StartsWith("192.0.2.7 ", StringComparison.Ordinal))
                && _server.Lines.Any(line => line.StartsWith("127.0.0.1 ", StringComparison.Ordinal)),
            () => _server!.Output);

        // 3. The commands.
        await using var health = PeerProcess.Start("dotnet", [MirrorProcess.Program, "health", config]);
        Assert.Equal(0, await health.ExitCodeAsync());
        await using var images = PeerProcess.Start("dotnet", [MirrorProcess.Program, "images", "--config", config]);
        Assert.True(await images.ExitCodeAsync() == 0, images.Output);

        // 4. It goes with the server. A file in its place stays.
        await _server!.StopAsync();
        Assert.False(Path.Exists(_folder["mirror.sock"]));
        _folder.Write("mirror.sock", "precious");
        Assert.Contains("is not a socket", await RefusalAsync(config));
        Assert.Equal("precious", await File.ReadAllTextAsync(_folder["mirror.sock"], Cancel));
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
        _folder.Dispose();
    }

    private string Config() => _folder.Write("config.yml", $"""
        version: 0.1
        storage: {"{"}filesystem: {"{"}rootdirectory: {_folder.Folder("root")}{"}}"}
        http: {"{"}net: unix, addr: {_folder["mirror.sock"]}{"}"}
        {PasswordFile.Section(_folder)}
        """);

    private async Task StartAsync(string config)
    {
        if (_server is not null)
            await _server.DisposeAsync();
        _server = PeerProcess.Start("dotnet", [MirrorProcess.Program, config]);
        await _server.UntilAsync(() => Task.FromResult(_server.Lines.Any(line => line.Contains("listening on", StringComparison.Ordinal))));
    }

    private static async Task<string> RefusalAsync(string config)
    {
        await using var second = PeerProcess.Start("dotnet", [MirrorProcess.Program, config]);
        Assert.NotEqual(0, await second.ExitCodeAsync());
        return second.Output;
    }

    private HttpClient Client() => new(new SocketsHttpHandler
    {
        UseProxy = false,
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_folder["mirror.sock"]), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });
}
