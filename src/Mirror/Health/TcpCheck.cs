using System.Net.Sockets;
using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>Fails unless an address accepts a connection: <see cref="TcpHealthOptions"/>.</summary>
internal sealed class TcpCheck(TcpHealthOptions options) : HealthCheck(options.Addr, options)
{
    private readonly ListenAddress _address = ListenAddress.Parse(options.Addr);

    public override TimeSpan TimeLimit => TimeLimitOf(options.Timeout);

    public override async Task<string?> FailureAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_address.Host, _address.Port, cancellationToken);
        return null;
    }
}
