using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Mirror.Bench;

/// <summary>
/// One connection that reads bodies into one buffer. The client does as little work as possible, so that the server's work is measured.
/// </summary>
internal sealed class Client : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] _buffer;
    private readonly SslStream? _tls;

    /// <param name="tls">Whether to use TLS. The client accepts any certificate.</param>
    public Client(int port, int bufferSize = 256 * 1024, bool tls = false)
    {
        _buffer = new byte[bufferSize];
        _socket.Connect(IPAddress.Loopback, port);
        if (!tls)
            return;
        _tls = new SslStream(new NetworkStream(_socket), false, (_, shown, _, _) => shown?.Subject == "CN=localhost");
        _tls.AuthenticateAsClient("localhost");
    }

    /// <summary>Sends a request and reads the body to its end.</summary>
    /// <param name="expected">The expected body, which is compared byte for byte; null to compare nothing.</param>
    /// <exception cref="IOException">The answer ended early.</exception>
    /// <exception cref="InvalidDataException">The body differs from the expected one.</exception>
    public Reply Ask(string path, string method = "GET", string headers = "", Blob? expected = null)
    {
        var started = Stopwatch.GetTimestamp();
        Send(Encoding.ASCII.GetBytes($"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n{headers}\r\n"));
        var (filled, end) = (0, -1);
        while (end < 0)
        {
            filled += Receive(_buffer.AsSpan(filled));
            end = _buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8);
        }
        var head = Encoding.ASCII.GetString(_buffer, 0, end).Split("\r\n");
        var status = int.Parse(head[0].AsSpan(9, 3));
        const string LengthName = "Content-Length:";
        var length = method == "HEAD"
            ? 0
            : long.Parse(head.First(line => line.StartsWith(LengthName, StringComparison.OrdinalIgnoreCase)).AsSpan(LengthName.Length));
        long read = filled - end - 4;
        if (status != 200 || length != expected?.Length)
            expected = status == 200 && expected is not null ? throw new InvalidDataException($"{length} bytes") : null;
        expected?.Compare(0, _buffer.AsSpan(end + 4, (int)read));
        var first = read > 0 || length == 0 ? Stopwatch.GetElapsedTime(started) : TimeSpan.Zero;
        while (read < length)
        {
            var received = Receive(_buffer);
            expected?.Compare(read, _buffer.AsSpan(0, received));
            read += received;
            if (first == TimeSpan.Zero)
                first = Stopwatch.GetElapsedTime(started);
        }
        return new Reply(status, read, first.TotalSeconds, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    public void Dispose()
    {
        _tls?.Dispose();
        _socket.Dispose();
    }

    /// <summary>
    /// Sends the same request by many clients at the same time, each with its own connection and thread. Returns the replies, and the
    /// seconds until all clients had theirs.
    /// </summary>
    public static (Reply[] Replies, double Seconds) Crowd(int port, int clients, string path, int rounds = 1, bool tls = false)
    {
        var replies = new Reply[clients];
        Client[] connected = [.. Enumerable.Range(0, clients).Select(_ => new Client(port, clients > 50 ? 64 * 1024 : 256 * 1024, tls))];
        var started = Stopwatch.GetTimestamp();
        Thread[] threads =
            [.. Enumerable.Range(0, clients).Select(i => new Thread(() => replies[i] = connected[i].TryAsk(path, rounds), 128 * 1024))];
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        foreach (var client in connected)
            client.Dispose();
        return (replies, seconds);
    }

    // A broken answer is a result, not the end of the benchmark.
    private Reply TryAsk(string path, int rounds)
    {
        try
        {
            var reply = Ask(path);
            for (var round = 1; round < rounds; round++)
                reply = Ask(path) is var next ? next with { Bytes = reply.Bytes + next.Bytes } : reply;
            return reply;
        }
        catch (Exception broken) when (broken is IOException or SocketException)
        {
            return default;
        }
    }

    private void Send(byte[] request)
    {
        if (_tls is null)
            _socket.Send(request);
        else
            _tls.Write(request);
    }

    private int Receive(Span<byte> buffer) =>
        (_tls?.Read(buffer) ?? _socket.Receive(buffer)) is > 0 and var read
            ? read
            : throw new EndOfStreamException("The answer ended early.");
}

/// <param name="Bytes">The length of the body.</param>
/// <param name="FirstByte">The seconds until the body's first byte.</param>
/// <param name="Seconds">The seconds until the body's last byte.</param>
internal readonly record struct Reply(int Status, long Bytes, double FirstByte, double Seconds);
