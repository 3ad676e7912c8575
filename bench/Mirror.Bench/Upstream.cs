using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;

namespace Mirror.Bench;

/// <summary>
/// A registry to pull through: a thread for each connection, blobs from memory, every byte and request counted. With a <see cref="Link"/>
/// all connections share its rate.
/// </summary>
internal sealed class Upstream : IDisposable
{
    private const int Slice = 64 * 1024;

    private readonly ConcurrentDictionary<string, Blob> _blobs = new();
    private readonly ConcurrentDictionary<string, byte[]> _manifests = new();
    private readonly ConcurrentDictionary<string, int> _gets = new();
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private Link? _link;
    private long _requests;
    private long _blobBytes;

    public Upstream(Link? link = null)
    {
        _link = link;
        _listener.Start();
        new Thread(Accept) { IsBackground = true }.Start();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public long Requests => Volatile.Read(ref _requests);

    public long BlobBytes => Volatile.Read(ref _blobBytes);

    /// <summary>The number of GET requests for a blob, or for a manifest by its digest.</summary>
    public int Gets(Digest digest) => _gets.GetValueOrDefault(digest.ToString());

    public Blob Add(Blob blob)
    {
        _blobs[blob.Digest.ToString()] = blob;
        return blob;
    }

    /// <summary>Serves a manifest by its tag and by its digest.</summary>
    public void Add(string tag, byte[] manifest) => _manifests[tag] = _manifests[Digest.Of(manifest).ToString()] = manifest;

    /// <summary>Replaces the link.</summary>
    public void Widen(double bytesPerSecond) => Volatile.Write(ref _link, new Link(bytesPerSecond));

    public void Dispose() => _listener.Stop();

    private void Accept()
    {
        try
        {
            while (true)
            {
                var connection = _listener.AcceptSocket();
                connection.NoDelay = true;
                new Thread(() => Serve(connection), 128 * 1024) { IsBackground = true }.Start();
            }
        }
        catch (Exception stopped) when (stopped is SocketException or ObjectDisposedException)
        {
        }
    }

    private void Serve(Socket connection)
    {
        using var _ = connection;
        var buffer = new byte[16 * 1024];
        var filled = 0;
        try
        {
            while (connection.Receive(buffer, filled, buffer.Length - filled, SocketFlags.None) is > 0 and var read)
            {
                filled += read;
                if (buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) is not (>= 0 and var end))
                    continue;
                Answer(connection, Encoding.ASCII.GetString(buffer, 0, end));
                filled -= end + 4;
                buffer.AsSpan(end + 4, filled).CopyTo(buffer);
            }
        }
        catch (SocketException)
        {
            // The client disconnected.
        }
    }

    private void Answer(Socket connection, string request)
    {
        Interlocked.Increment(ref _requests);
        var lines = request.Split("\r\n");
        var (method, path) = lines[0].Split(' ') is [var verb, var target, ..] ? (verb, target) : ("", "");
        var last = path[(path.LastIndexOf('/') + 1)..];
        if (method == "GET")
            _gets.AddOrUpdate(last, 1, static (_, count) => count + 1);
        if (path == "/v2/")
            Send(connection, "200 OK", "Content-Length: 2\r\nContent-Type: application/json", "{}"u8);
        else if (path.Contains("/manifests/") && _manifests.TryGetValue(last, out var manifest))
            Send(connection, "200 OK",
                $"Content-Length: {manifest.Length}\r\nContent-Type: {MediaTypes.OciManifest}\r\n"
                + $"Docker-Content-Digest: {Digest.Of(manifest)}",
                method == "HEAD" ? [] : manifest);
        else if (path.Contains("/blobs/") && _blobs.TryGetValue(last, out var blob))
            SendBlob(connection, blob, method,
                lines.FirstOrDefault(line => line.StartsWith("Range: bytes=", StringComparison.OrdinalIgnoreCase))
                    ?["Range: bytes=".Length..]);
        else
            Send(connection, "404 Not Found", "Content-Length: 0", []);
    }

    private void SendBlob(Socket connection, Blob blob, string method, string? range)
    {
        var (from, end) = (0L, blob.Length);
        if (range?.Split('-') is [var first, var until])
            (from, end) = (long.Parse(first), until.Length > 0 ? long.Parse(until) + 1 : end);
        Send(connection, range is null ? "200 OK" : "206 Partial Content",
            $"Content-Length: {end - from}\r\nContent-Type: application/octet-stream\r\nDocker-Content-Digest: {blob.Digest}"
            + (range is null ? "" : $"\r\nContent-Range: bytes {from}-{end - 1}/{blob.Length}"), []);
        while (method == "GET" && from < end)
        {
            var bytes = blob.At(from, end).Span;
            if (Volatile.Read(ref _link) is { } link)
            {
                bytes = bytes[..Math.Min(bytes.Length, Slice)];
                link.Pass(bytes.Length);
            }
            connection.Send(bytes);
            from += bytes.Length;
            Interlocked.Add(ref _blobBytes, bytes.Length);
        }
    }

    private static void Send(Socket connection, string status, string headers, ReadOnlySpan<byte> body)
    {
        byte[] head = Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n{headers}\r\n\r\n");
        connection.Send([.. head, .. body]);
    }
}
