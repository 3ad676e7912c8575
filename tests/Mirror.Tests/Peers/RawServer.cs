using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mirror.Tests.Peers;

/// <summary>A server on this machine whose answers a test writes byte by byte: for answers that no server sends on purpose.</summary>
internal abstract class RawServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();

    protected RawServer()
    {
        _listener.Start();
        Url = new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture)}");
        _ = AcceptAsync();
    }

    public Uri Url { get; }

    public void Dispose()
    {
        _end.Cancel();
        _listener.Dispose();
        _end.Dispose();
    }

    /// <summary>The answer to a request line, such as <c>GET / HTTP/1.1</c>, and whether the connection is closed after it.</summary>
    protected abstract (byte[] Answer, bool Close) AnswerTo(string line);

    /// <summary>Whether a request line asks for no body.</summary>
    protected static bool IsHead(string line) => line.StartsWith("HEAD ", StringComparison.Ordinal);

    private async Task AcceptAsync()
    {
        while (!_end.IsCancellationRequested)
            try
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync(_end.Token));
            }
            catch (Exception stopped) when (stopped is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
            try
            {
                using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
                while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 } line)
                {
                    var length = 0;
                    while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 } header)
                        if (header.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))
                            length = int.Parse(header["Content-Length:".Length..], CultureInfo.InvariantCulture);
                    // A read of nothing would wait for the next request.
                    if (length > 0)
                        await reader.ReadBlockAsync(new char[length], _end.Token);
                    var (answer, close) = AnswerTo(line);
                    await client.GetStream().WriteAsync(answer, _end.Token);
                    if (close)
                        return;
                }
            }
            catch (Exception gone) when (gone is IOException or OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The client needs no more answers.
            }
    }
}
