using System.Net;
using System.Net.Sockets;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>A host with several addresses, of which some do not answer or refuse.</summary>
public sealed class HappyEyeballsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("::1", "127.0.0.1")]
    [InlineData("127.0.0.2", "127.0.0.1")]
    [InlineData("127.0.0.1", "::1")]
    public async Task The_next_address_is_connected_to_if_the_first_does_not_answer(string silent, string good)
    {
        using var listener = new TcpListener(IPAddress.Parse(good), 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        IPAddress[] addresses = [IPAddress.Parse(silent), IPAddress.Parse(good)];
        using var hole = new BlackHole(Url(addresses[0], port));
        await using var connection = await HappyEyeballs.ConnectAsync(addresses, port, Cancel);
        using var accepted = await listener.AcceptSocketAsync(Cancel);
        Assert.Equal(listener.LocalEndpoint, accepted.LocalEndPoint);
    }

    [Fact]
    public async Task If_each_address_refuses_the_failure_says_so()
    {
        int port;
        using (var closed = new TcpListener(IPAddress.Loopback, 0))
        {
            closed.Start();
            port = ((IPEndPoint)closed.LocalEndpoint).Port;
        }
        var failure = await Assert.ThrowsAsync<SocketException>(async () =>
            await HappyEyeballs.ConnectAsync([IPAddress.Parse("127.0.0.2"), IPAddress.Loopback], port, Cancel));
        Assert.Equal(SocketError.ConnectionRefused, failure.SocketErrorCode);
    }

    // The connection pool knows by its token that its own time limit is over.
    [Fact]
    public async Task If_no_address_answers_the_callers_time_limit_ends_all_attempts()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        IPAddress[] addresses = [IPAddress.Loopback, IPAddress.Parse("127.0.0.2")];
        using var first = new BlackHole(Url(addresses[0], 0));
        using var second = new BlackHole(Url(addresses[1], first.Port));
        var connecting = HappyEyeballs.ConnectAsync(addresses, first.Port, limit.Token);
        Assert.False(connecting.IsCompleted);
        await limit.CancelAsync();
        var ended = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await connecting);
        Assert.Equal(limit.Token, ended.CancellationToken);
    }

    [Fact]
    public void The_families_of_addresses_take_turns()
    {
        var order = HappyEyeballs.Interleave(((string[])["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"]).Select(IPAddress.Parse));
        Assert.Equal(["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"], order.Select(address => address.ToString()));
    }

    // The handlers of .NET would otherwise try one address after the other.
    [Fact]
    public void Each_HTTP_client_connects_in_this_way()
    {
        var files = Directory.EnumerateFiles(Path.Combine(MirrorProcess.Repository, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(file => File.ReadAllText(file).Contains("new SocketsHttpHandler", StringComparison.Ordinal)
                || File.ReadAllText(file).Contains("SocketsHttpHandler Create", StringComparison.Ordinal))
            .ToList();
        Assert.NotEmpty(files);
        Assert.All(files, file => Assert.Contains("HappyEyeballs.ConnectAsync", File.ReadAllText(file), StringComparison.Ordinal));
    }

    private static Uri Url(IPAddress address, int port) => new($"http://{new IPEndPoint(address, port)}");
}
