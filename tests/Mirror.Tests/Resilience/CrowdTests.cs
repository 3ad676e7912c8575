using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Many clients of a registry that may open few files, and has no upstream.</summary>
public sealed class CrowdTests : IAsyncLifetime
{
    private readonly List<Socket> _clients = [];
    private MirrorProcess _registry = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        if (Availability.Of("prlimit") is { IsAvailable: false } missing)
            missing.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { Limits = "--nofile=400" });
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        if (_registry is not null)
            await _registry.DisposeAsync();
    }

    [Fact]
    public async Task Clients_have_the_files_that_no_download_needs()
    {
        // More than the 49 that have files of their own.
        for (var i = 0; i < 56; i++)
            await AssertServedAsync(await ConnectAsync());
        // None of them was closed for the others.
        foreach (var client in _clients)
            await AssertServedAsync(client);
    }

    [Fact]
    public async Task The_rest_of_a_refused_manifest_is_left_unread()
    {
        // More than a quarter of the places.
        for (var i = 0; i < 25; i++)
            await ConnectAsync();

        var client = await ConnectAsync();
        const long announced = 1 << 30;
        var put = $"PUT /v2/local/evil/manifests/1 HTTP/1.1\r\nHost: m\r\nContent-Length: {announced}\r\n\r\n";
        Assert.StartsWith("HTTP/1.1 413 ", await AskAsync(client, put), StringComparison.Ordinal);

        var (sent, piece) = (0L, new byte[1 << 20]);
        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (sent < announced)
                sent += await client.SendAsync(piece, Cancel);
        });
        // What the system itself takes for the two of them.
        Assert.InRange(sent, 0, 64 << 20);
    }

    private async Task<Socket> ConnectAsync()
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _clients.Add(client);
        await client.ConnectAsync(IPAddress.Loopback, _registry.Url.Port, Cancel);
        return client;
    }

    private static async Task AssertServedAsync(Socket client) =>
        Assert.StartsWith("HTTP/1.1 200 ", await AskAsync(client, "GET /v2/ HTTP/1.1\r\nHost: m\r\n\r\n"), StringComparison.Ordinal);

    // The answer's first bytes.
    private static async Task<string> AskAsync(Socket client, string request)
    {
        await client.SendAsync(Encoding.ASCII.GetBytes(request), Cancel);
        var answer = new byte[4000];
        return Encoding.ASCII.GetString(answer, 0, await client.ReceiveAsync(answer, Cancel));
    }
}
