using System.Net;
using System.Net.Sockets;

namespace Mirror.Storage;

/// <summary>
/// Connects to a host that has several addresses, of which some may not answer (RFC 8305). The addresses are tried one after the other, but
/// the next attempt does not wait for the end of the one before. Without this, an IPv6 address that does not answer would use up the whole
/// time for a connection, although the host has an IPv4 address that works.
/// </summary>
public static class HappyEyeballs
{
    // The value that RFC 8305, section 8, recommends.
    private static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);

    /// <summary>For <see cref="SocketsHttpHandler.ConnectCallback"/>. Its <see cref="SocketsHttpHandler.ConnectTimeout"/> is the limit for
    /// all attempts together.</summary>
    public static ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken) =>
        ConnectAsync(context.DnsEndPoint, cancellationToken);

    /// <summary>Connects to one of the addresses of a host.</summary>
    /// <exception cref="SocketException">The host has no address, or none of them can be reached.</exception>
    public static async ValueTask<Stream> ConnectAsync(DnsEndPoint target, CancellationToken cancellationToken) =>
        await ConnectAsync(
            await Dns.GetHostAddressesAsync(target.Host.Trim('[', ']'), cancellationToken), target.Port, cancellationToken);

    /// <summary>Connects to the first of these addresses that answers.</summary>
    /// <param name="addresses">At least one, the preferred one first.</param>
    /// <exception cref="SocketException">None of them can be reached. It is the failure of the attempt that failed first.</exception>
    public static async ValueTask<Stream> ConnectAsync(IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var waiting = new Queue<IPAddress>(Interleave(addresses));
        List<Task<Socket>> attempts = [];
        SocketException? failure = null;
        try
        {
            while (waiting.Count + attempts.Count > 0)
            {
                if (waiting.TryDequeue(out var address))
                    attempts.Add(AttemptAsync(new IPEndPoint(address, port), ended.Token));
                List<Task> awaited = [.. attempts];
                if (waiting.Count > 0)
                    awaited.Add(Task.Delay(AttemptDelay, ended.Token));
                var first = await Task.WhenAny(awaited);
                cancellationToken.ThrowIfCancellationRequested();
                if (first is not Task<Socket> attempt)
                    continue;
                attempts.Remove(attempt);
                try
                {
                    return new NetworkStream(await attempt, ownsSocket: true);
                }
                catch (SocketException refused)
                {
                    failure ??= refused;
                }
            }
            throw failure ?? new SocketException((int)SocketError.HostNotFound);
        }
        finally
        {
            await ended.CancelAsync();
            foreach (var attempt in attempts)
                _ = CloseAsync(attempt);
        }
    }

    /// <summary>The order of the attempts: the families of addresses take turns (RFC 8305, section 4).</summary>
    internal static IEnumerable<IPAddress> Interleave(IEnumerable<IPAddress> addresses) =>
        addresses.GroupBy(address => address.AddressFamily)
            .SelectMany(family => family.Select((address, place) => (address, place)))
            .OrderBy(each => each.place)
            .Select(each => each.address);

    private static async Task<Socket> AttemptAsync(IPEndPoint target, CancellationToken cancellationToken)
    {
        var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(target, cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // Two attempts may have connected at the same moment.
    private static async Task CloseAsync(Task<Socket> attempt)
    {
        try
        {
            (await attempt).Dispose();
        }
        catch (Exception failure) when (failure is SocketException or OperationCanceledException)
        {
            // Another attempt has won, or all have failed.
        }
    }
}
