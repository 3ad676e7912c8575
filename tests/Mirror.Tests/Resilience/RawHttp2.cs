using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Mirror.Tests.Resilience;

/// <summary>A connection of HTTP/2 over TLS that sends the frames it is told to (RFC 9113).</summary>
internal sealed class RawHttp2 : IAsyncDisposable
{
    internal const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, Ping = 6, WindowUpdate = 8, Continuation = 9;
    internal const byte EndStream = 1, EndHeaders = 4;

    private readonly TcpClient _client;
    private readonly SslStream _tls;

    private RawHttp2(TcpClient client, SslStream tls) => (_client, _tls) = (client, tls);

    /// <summary>Connects, and says how many bytes the server may send on each stream.</summary>
    internal static async Task<RawHttp2> ConnectAsync(int port, int window, CancellationToken cancellationToken)
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
        var tls = new SslStream(client.GetStream(), leaveInnerStreamOpen: false, (_, presented, _, _) => presented is not null);
        var http2 = new RawHttp2(client, tls);
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "localhost", ApplicationProtocols = [SslApplicationProtocol.Http2] },
            cancellationToken);
        var value = new byte[6];
        value[1] = 4;
        BinaryPrimitives.WriteInt32BigEndian(value.AsSpan(2), window);
        await tls.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), cancellationToken);
        await http2.SendAsync(Settings, 0, 0, value, cancellationToken);
        return http2;
    }

    internal Task SendAsync(byte type, byte flags, int stream, byte[] payload, CancellationToken cancellationToken) =>
        SendAsync(Frame(type, flags, stream, payload), cancellationToken);

    /// <summary>Sends frames. The lawful clients in the same process get their turns in between.</summary>
    internal async Task SendAsync(byte[] frames, CancellationToken cancellationToken)
    {
        await _tls.WriteAsync(frames, cancellationToken);
        await Task.Yield();
    }

    internal static byte[] Frame(byte type, byte flags, int stream, params byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8 | type);
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }

    /// <summary>The header block of a GET (RFC 7541): fields from the static table, none kept.</summary>
    internal static byte[] Get(string path) =>
    [
        0x82, 0x87, 0x01, 9, .. "localhost"u8, 0x04, checked((byte)path.Length), .. Encoding.ASCII.GetBytes(path),
    ];

    /// <summary>The header block of a POST.</summary>
    internal static byte[] Post(string path) => [0x83, .. Get(path)[1..]];

    /// <summary>A field of a header block, which the server is not to keep.</summary>
    internal static byte[] Field(string name, int length) =>
    [
        0, checked((byte)name.Length), .. Encoding.ASCII.GetBytes(name), 0x7f, (byte)((length - 127) % 128 | 128),
        checked((byte)((length - 127) / 128)), .. Encoding.ASCII.GetBytes(new string('x', length)),
    ];

    /// <summary>Reads until the server ends the connection.</summary>
    internal async Task DrainAsync(CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        while (await _tls.ReadAsync(buffer, cancellationToken) > 0)
        {
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _tls.DisposeAsync();
        _client.Dispose();
    }
}
