using System.Text;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Upstream;

/// <summary>A registry that sends the bytes that a test writes, headers included.</summary>
/// <param name="answer">The answer to a method and a path: the lines of its head without the status, its body as it is sent, and
/// whether the connection is closed then.</param>
internal sealed class RawUpstream(Func<string, string, (string Head, byte[] Body, bool Close)> answer) : RawServer
{
    private int _gets;

    /// <summary>How many requests with GET came for blobs and manifests.</summary>
    public int Gets => Volatile.Read(ref _gets);

    /// <summary>A body in chunks of <paramref name="size"/> bytes, without the chunk that ends it.</summary>
    public static byte[] Chunks(byte[] body, int size = 10_000) =>
        [.. body.Chunk(size).SelectMany(chunk => (byte[])[.. Encoding.ASCII.GetBytes($"{chunk.Length:x}\r\n"), .. chunk, .. "\r\n"u8])];

    protected override (byte[] Answer, bool Close) AnswerTo(string line)
    {
        var (method, path) = (line.Split(' ')[0], line.Split(' ')[1]);
        if (method == "GET" && path != "/v2/")
            Interlocked.Increment(ref _gets);
        var (head, body, close) = path == "/v2/" ? ("Content-Length: 2\r\n", "{}"u8.ToArray(), false) : answer(method, path);
        return ([.. Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\n{head}\r\n"), .. IsHead(line) ? [] : body], close);
    }
}
