using System.Buffers;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Mirror.Tls;

namespace Mirror.Hosting;

/// <summary>
/// Reads the first message of each TLS connection before the handshake does: the callback of a handshake does not see which versions and
/// protocols the client offers.
/// </summary>
internal static class FirstMessages
{
    private static readonly TimeSpan MaxHello = TimeSpan.FromSeconds(10);

    /// <summary>Call it before TLS is set up.</summary>
    public static void Read(ListenOptions endpoint) => endpoint.Use(next => connection => ReadAsync(connection, next));

    /// <summary>The message; empty where it is none of TLS, or comes in parts.</summary>
    public static ReadOnlySpan<byte> Of(BaseConnectionContext connection) => connection.Features.Get<FirstMessage>()?.Record;

    private static async Task ReadAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        using (var limit = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed))
        {
            limit.CancelAfter(MaxHello);
            try
            {
                if (await ReadAsync(connection, limit.Token) is { } record)
                    connection.Features.Set(new FirstMessage(record));
            }
            catch (Exception failure) when (failure is OperationCanceledException or IOException)
            {
                connection.Abort();
                return;
            }
        }
        await next(connection);
    }

    private static async Task<byte[]?> ReadAsync(ConnectionContext connection, CancellationToken cancellationToken)
    {
        var input = connection.Transport.Input;
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken);
            var length = ClientHello.LengthOf(read.Buffer.Slice(0, Math.Min(read.Buffer.Length, 5)).ToArray());
            if (read.IsCompleted || length <= read.Buffer.Length)
            {
                var record = length is > 0 && length <= read.Buffer.Length ? read.Buffer.Slice(0, length.Value).ToArray() : null;
                // Nothing is taken away from the handshake.
                input.AdvanceTo(read.Buffer.Start);
                return record;
            }
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private sealed record FirstMessage(byte[] Record);
}
