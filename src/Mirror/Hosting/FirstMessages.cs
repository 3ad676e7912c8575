using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Mirror.Telemetry;
using Mirror.Tls;

namespace Mirror.Hosting;

/// <summary>
/// Reads the first message of each TLS connection before the handshake does: the callback of a handshake does not see which versions and
/// protocols the client offers. It also logs why handshakes fail, answers a client that speaks plain HTTP, and logs that a client sends TLS
/// to a port without it.
/// </summary>
internal sealed partial class FirstMessages(TimeProvider time, ILogger<FirstMessages> log)
{
    private static readonly TimeSpan MaxHello = TimeSpan.FromSeconds(10);

    private static readonly byte[] NotHttps = Encoding.ASCII.GetBytes(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        + "This port takes HTTPS only, and the client sent plain HTTP. Use an address that begins with https://\n");

    private readonly RareLine _failed = new(time);
    private readonly RareLine _refused = new(time);
    private readonly RareLine _plain = new(time);
    private readonly RareLine _tls = new(time);

    /// <summary>Call it before TLS is set up.</summary>
    public static void Read(ListenOptions endpoint)
    {
        var messages = ActivatorUtilities.CreateInstance<FirstMessages>(endpoint.ApplicationServices);
        endpoint.Use(next => connection => messages.ReadAsync(connection, next));
    }

    /// <summary>What to tell of a connection that begins with TLS at an endpoint without it.</summary>
    public static Action<ConnectionContext> TlsOnPlainPort(ListenOptions endpoint)
    {
        var messages = ActivatorUtilities.CreateInstance<FirstMessages>(endpoint.ApplicationServices);
        return connection =>
        {
            if (messages._tls.IsDue())
                messages.LogTls($"{connection.RemoteEndPoint}");
        };
    }

    /// <summary>The message; empty where it is none of TLS, or comes in parts.</summary>
    public static ReadOnlySpan<byte> Of(BaseConnectionContext connection) => connection.Features.Get<FirstMessage>()?.Record;

    private async Task ReadAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed))
        {
            limit.CancelAfter(MaxHello);
            try
            {
                var (start, record) = await ReadAsync(connection, limit.Token);
                // A load balancer that looks whether the port is open sends nothing.
                if (start is null)
                    return;
                if (start is >= (byte)'A' and <= (byte)'Z')
                {
                    if (_plain.IsDue())
                        LogPlain($"{connection.RemoteEndPoint}");
                    await connection.Transport.Output.WriteAsync(NotHttps, limit.Token);
                    return;
                }
                if (record is not null)
                    connection.Features.Set(new FirstMessage(record));
            }
            catch (Exception failure) when (failure is OperationCanceledException or IOException)
            {
                connection.Abort();
                return;
            }
        }
        var handshake = HandshakeFailures.Note();
        await next(connection);
        if (handshake.Refusal is { } refusal)
        {
            if (_refused.IsDue())
                LogRefused($"{connection.RemoteEndPoint}", refusal);
        }
        else if (handshake.Failure is { } why && _failed.IsDue())
            LogFailed($"{connection.RemoteEndPoint}", why);
    }

    // The first byte, and the first record; null where there is none.
    private static async Task<(byte? Start, byte[]? Record)> ReadAsync(ConnectionContext connection, CancellationToken cancellationToken)
    {
        var input = connection.Transport.Input;
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken);
            var length = ClientHello.LengthOf(read.Buffer.Slice(0, Math.Min(read.Buffer.Length, 5)).ToArray());
            if (read.IsCompleted || length <= read.Buffer.Length)
            {
                var record = length is > 0 && length <= read.Buffer.Length ? read.Buffer.Slice(0, length.Value).ToArray() : null;
                byte? start = read.Buffer.IsEmpty ? null : read.Buffer.FirstSpan[0];
                // Nothing is taken away from the handshake.
                input.AdvanceTo(read.Buffer.Start);
                return (start, record);
            }
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "a TLS handshake with {Client} failed: {Reason}. If this client should connect, check that it trusts the certificate, and that it "
        + "speaks what http.tls asks for. There is one such line a minute at most")]
    private partial void LogFailed(string client, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "{Client} was refused: {Reason}. If this client should connect, give it a certificate that an authority of http.tls.clientcas has "
        + "signed, or add its authority there. There is one such line a minute at most")]
    private partial void LogRefused(string client, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "{Client} sent plain HTTP, and http.tls makes this port take HTTPS only: the client got 400. Give it an address that begins with "
        + "https://. There is one such line a minute at most")]
    private partial void LogPlain(string client);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Client} sent TLS, and this port takes plain HTTP only: the client got 400. Set http.tls to let this server speak HTTPS, or give "
        + "the client an address that begins with http:// (for Docker: list this server in insecure-registries). There is one such line "
        + "a minute at most")]
    private partial void LogTls(string client);

    private sealed record FirstMessage(byte[] Record);
}
