using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mirror.Tests.Upstream;

/// <summary>A registry that sends the bytes that a test writes, headers included: for answers that no server sends on purpose.</summary>
internal sealed class RawUpstream : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly Func<string, string, (string Head, byte[] Body, bool Close)> _answer;
    private int _gets;

    /// <param name="answer">The answer to a method and a path: the lines of its head without the status, its body as it is sent, and
    /// whether the connection is closed then.</param>
    public RawUpstream(Func<string, string, (string Head, byte[] Body, bool Close)> answer)
    {
        _answer = answer;
        _listener.Start();
        Url = new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture)}");
        _ = AcceptAsync();
    }

    public Uri Url { get; }

    /// <summary>How many requests with GET came for blobs and manifests.</summary>
    public int Gets => Volatile.Read(ref _gets);

    /// <summary>A body in chunks of <paramref name="size"/> bytes, without the chunk that ends it.</summary>
    public static byte[] Chunks(byte[] body, int size = 10_000) =>
        [.. body.Chunk(size).SelectMany(chunk => (byte[])[.. Encoding.ASCII.GetBytes($"{chunk.Length:x}\r\n"), .. chunk, .. "\r\n"u8])];

    public void Dispose()
    {
        _end.Cancel();
        _listener.Dispose();
        _end.Dispose();
    }

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
                    while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 })
                    {
                    }
                    var (method, path) = (line.Split(' ')[0], line.Split(' ')[1]);
                    if (method == "GET" && path != "/v2/")
                        Interlocked.Increment(ref _gets);
                    var (head, body, close) = path == "/v2/" ? ("Content-Length: 2\r\n", "{}"u8.ToArray(), false) : _answer(method, path);
                    byte[] whole = [.. Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\n{head}\r\n"), .. method == "HEAD" ? [] : body];
                    await client.GetStream().WriteAsync(whole, _end.Token);
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
