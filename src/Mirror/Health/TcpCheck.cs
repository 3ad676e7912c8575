using System.Net.Sockets;
using Mirror.Configuration;

namespace Mirror.Health;

/// <summary><see cref="TcpHealthOptions"/></summary>
internal sealed class TcpCheck(TcpHealthOptions options, TimeProvider time) : PatientCheck(options)
{
    private readonly ListenAddress _address = ListenAddress.Parse(options.Addr);

    protected override async Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_address.Host, _address.Port, cancellationToken).AsTask().WaitAsync(LimitOf(options.Timeout), time, cancellationToken);
        return null;
    }
}
