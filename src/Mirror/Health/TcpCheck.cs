using System.Net.Sockets;
using Mirror.Configuration;

namespace Mirror.Health;

/// <summary><see cref="TcpHealthOptions"/></summary>
internal sealed class TcpCheck(TcpHealthOptions options) : HealthCheck(options.Addr, options)
{
    private readonly ListenAddress _address = ListenAddress.Parse(options.Addr);

    public override TimeSpan Limit => LimitOf(options.Timeout);

    public override async Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_address.Host, _address.Port, cancellationToken);
        return null;
    }
}
