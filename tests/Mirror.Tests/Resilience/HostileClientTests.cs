using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Clients that mean ill: strings that lead elsewhere, messages that are none, and connections that are only held.</summary>
public sealed class HostileClientTests : MirrorOfHub
{
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 8 << 20);

    [Fact]
    public async Task No_string_leads_out_of_the_store()
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 10));
        const string secret = "outside-the-root-41d7";
        await File.WriteAllTextAsync(Path.Combine(Path.GetDirectoryName(Mirror.Root)!, "secret"), secret, Cancel);
        var around = Directory.GetFileSystemEntries(Path.GetDirectoryName(Mirror.Root)!).Order().ToList();
        var (count, statuses) = (0, new SortedDictionary<int, int>());
        foreach (var target in Targets(Figures.Count(600, 5000)))
        {
            var request = Encoding.Latin1.GetBytes($"GET {target} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n");
            var answer = await SendRawAsync(request, endsAfterwards: false);
            var status = Status(answer);
            count++;
            statuses[status] = statuses.GetValueOrDefault(status) + 1;
            Assert.True(status is >= 200 and < 500, $"{target}: {answer}");
            Assert.DoesNotContain(secret, answer, StringComparison.Ordinal);
        }
        Assert.Equal(around, Directory.GetFileSystemEntries(Path.GetDirectoryName(Mirror.Root)!).Order());
        Assert.All(
            Directory.EnumerateFileSystemEntries(Mirror.Root, "*", SearchOption.AllDirectories),
            path => Assert.DoesNotContain(secret, path, StringComparison.Ordinal));
        Assert.DoesNotContain(Hub.Log.Requests, r => r.Path.Split('/').Any(part => part is "." or "..")
            || r.Path.Contains('%', StringComparison.Ordinal) || r.Path.Contains('\\', StringComparison.Ordinal));
        var answered = string.Join(", ", statuses.Select(s => $"{s.Value} x {s.Key}"));
        Figures.Report($"{count} traversal strings: 0 outside the root, 0 5xx ({answered})");
    }

    [Fact]
    public async Task A_malformed_message_is_refused()
    {
        var random = Figures.Random(5);
        string[] known =
        [
            "GET\r\n\r\n", "GET /v2/\r\n\r\n", "GET /v2/ HTTP/9.9\r\n\r\n", "GET  /v2/ HTTP/1.1\r\nHost: m\r\n\r\n", "\r\n\r\n\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /v2/ HTTP/1.1\r\nHost m\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: m\r\n folded\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: m\r\nContent-Length: -1\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: m\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "PUT /v2/a/manifests/b HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            "PUT /v2/a/manifests/b HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: x\r\n\r\n",
            "GET /v2/\0 HTTP/1.1\r\nHost: m\r\n\r\n", "GET /v2/ HTTP/1.1\r\nHost: m\r\nX: \0\r\n\r\n",
            $"GET /v2/{new string('a', 20_000)} HTTP/1.1\r\nHost: m\r\n\r\n",
            $"GET /v2/ HTTP/1.1\r\nHost: m\r\nX: {new string('a', 200_000)}\r\n\r\n",
            $"GET /v2/ HTTP/1.1\r\nHost: m\r\n{string.Concat(Enumerable.Repeat("X: y\r\n", 5000))}\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
            "GET http://evil.example/v2/ HTTP/1.1\r\nHost: m\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: m\r\n\r\n",
            "GET /v2/%zz HTTP/1.1\r\nHost: m\r\n\r\n", "\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003",
        ];
        var count = Figures.Count(100, 500);
        for (var i = 0; i < count; i++)
        {
            var message = Encoding.Latin1.GetBytes(i < known.Length ? known[i] : known[random.Next(known.Length)]);
            if (i >= known.Length)
                for (var flips = random.Next(1, 8); flips > 0; flips--)
                    message[random.Next(Math.Min(message.Length, 100))] = (byte)random.Next(256);
            var answer = await SendRawAsync(message);
            Assert.True(
                answer.Length == 0 || IsGoAway(answer) || Status(answer) is >= 200 and < 500 or 501,
                $"{Encoding.Latin1.GetString(message)[..Math.Min(message.Length, 200)]}: {answer}");
        }
        using var well = await Mirror.GetAsync("");
        Assert.Equal(HttpStatusCode.OK, well.StatusCode);
        Figures.Report($"{count} malformed messages: 0 5xx");
    }

    // HTTP/2 spoken to a listener that has only HTTP/1.1 is told so in its own words (RFC 9113, 6.8).
    private static bool IsGoAway(string answer) => answer.Length >= 9 && answer[3] == '\u0007';

    [Theory]
    [InlineData("tags/list?n=9223372036854775808")]
    [InlineData("tags/list?n=18446744073709551616")]
    [InlineData("tags/list?n=-1")]
    [InlineData("tags/list?n=1e3")]
    [InlineData("tags/list?n=%00")]
    [InlineData("tags/list?n=2147483648&last=a")]
    public async Task A_number_that_is_none_is_400(string path)
    {
        using var response = await Mirror.GetAsync($"{Repository}/{path}");
        await AssertErrorAsync(HttpStatusCode.BadRequest, response);
    }

    [Fact]
    public async Task What_a_client_says_does_not_make_lines_in_the_logs_or_headers_in_answers()
    {
        string[] paths =
        [
            "library/x%0d%0aSet-Cookie:%20a=b/manifests/latest",
            $"{Repository}/manifests/a%0d%0aforged:%20line",
            $"{Repository}/tags/list?last=%0d%0aforged-line&n=1",
        ];
        foreach (var path in paths)
            using (var response = await Mirror.GetAsync(path, ("User-Agent", "curl\u001b[31m\"forged\"")))
                Assert.False(response.Headers.Contains("Set-Cookie") || response.Headers.Contains("forged"));
        Assert.DoesNotContain(Mirror.Log, line =>
            line.StartsWith("forged", StringComparison.Ordinal) || line.StartsWith("Set-Cookie", StringComparison.Ordinal));
        Assert.DoesNotContain(Mirror.Log, line => line.Contains('\u001b', StringComparison.Ordinal));
    }

    [Fact]
    public async Task Readers_that_hardly_read_and_requests_never_finished_leave_others_alone()
    {
        Hub.AddBlob(Repository, Layer);
        using (var first = await Mirror.GetAsync(BlobPath(Layer.Digest)))
            Assert.Equal(Layer.Digest, await DigestOfAsync(first));
        await Mirror.UntilStoredAsync(BlobPath(Layer.Digest));
        var each = Figures.Count(200, 2000);
        List<Socket> held = [];
        try
        {
            for (var i = 0; i < each; i++)
            {
                var reader = await ConnectAsync();
                reader.ReceiveBufferSize = 4096;
                await reader.SendAsync(Encoding.ASCII.GetBytes($"GET /v2/{BlobPath(Layer.Digest)} HTTP/1.1\r\nHost: m\r\n\r\n"));
                held.Add(reader);
                var half = await ConnectAsync();
                await half.SendAsync("GET /v2/ HTTP/1.1\r\nHost: m\r\nX-Half: "u8.ToArray());
                held.Add(half);
            }
            // Ten bytes from each, and then no more.
            foreach (var socket in held.Where((_, i) => i % 2 == 0))
                await socket.ReceiveAsync(new byte[10]);
            for (var i = 0; i < 10; i++)
                using (var response = await Mirror.GetAsync(BlobPath(Layer.Digest)))
                    Assert.Equal(Layer.Digest, await DigestOfAsync(response));
            var peak = Mirror.PeakResident / 1048576.0;
            Figures.Report(string.Create(
                CultureInfo.InvariantCulture,
                $"{each} readers that hardly read and {each} half requests: pulls go on, {peak:F0} MiB at most"));
            // What is on its way to each of them, and no more.
            Assert.InRange(Mirror.PeakResident, 0, (256L << 20) + each * (128L << 10));
        }
        finally
        {
            held.ForEach(socket => socket.Dispose());
        }
    }

    [LongFact]
    public async Task A_client_that_does_not_read_for_a_minute_is_cut_off_and_the_log_says_why()
    {
        // More than the buffers of the system hold.
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(9, 32 << 20));
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /v2/{BlobPath(blob.Digest)} HTTP/1.1\r\nHost: m\r\n\r\n"));
        await socket.ReceiveAsync(new byte[10]);
        await Until.TrueAsync(
            () => Task.FromResult(Mirror.Log.Any(line => line.Contains("level=warning", StringComparison.Ordinal)
                && line.Contains("the client took no byte for a minute", StringComparison.Ordinal)
                && line.Contains(" advice=", StringComparison.Ordinal)
                && line.Contains(blob.Digest.ToString(), StringComparison.Ordinal))),
            () => $"No such line:\n{string.Join('\n', Mirror.Log)}", TimeSpan.FromMinutes(5));
    }

    [Fact]
    public async Task A_client_behind_a_slow_line_is_never_cut_off()
    {
        const int rate = 256 * 1024;
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(3, (long)rate * Figures.Count(6, 60)));
        using var socket = await ConnectAsync();
        socket.ReceiveBufferSize = 16 * 1024;
        var request = $"GET /v2/{BlobPath(blob.Digest)} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
        await socket.SendAsync(Encoding.ASCII.GetBytes(request));
        await using var stream = new NetworkStream(socket);
        await using var answer = new BufferedStream(stream, 16 * 1024);
        var head = new StringBuilder();
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
            head.Append((char)answer.ReadByte());
        Assert.Equal(200, Status(head.ToString()));
        var line = new Throttle { BytesPerSecond = rate };
        using var hash = Digest.NewHash("sha256");
        var buffer = new byte[16 * 1024];
        while (await answer.ReadAsync(buffer, Cancel) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
            await line.TakeAsync(read, Cancel);
        }
        Assert.Equal(blob.Digest, Digest.FromHash("sha256", hash.GetCurrentHash()));
    }

    private static IEnumerable<string> Targets(int count)
    {
        string[] atoms =
        [
            "..", ".", "%2e%2e", "%2E.", "%252e%252e", "..%2f", "..%5c", "..\\", "%c0%ae%c0%ae", "%e0%80%ae", "....//", "..;",
            "%00", "%2500", "%0a", "%0d%0a", "~", "*", "$(id)", "`id`", "|", "C:",
            "etc", "passwd", "secret", "_uploads", "_manifests", "_layers", "current", "link", "data", "startedat", "blobs", "uploads",
            "repositories", "docker", "registry", "v2", "mirror", "fills", "tmp",
            "sha256", "sha256:..", "sha256:" + new string('.', 64), "sha256:" + new string('0', 63) + "/",
            "sha512:" + new string('a', 128), new string('a', 300), "%ff%fe", "%e2%80%ae", "A", "-", "_",
        ];
        string[] frames =
        [
            "/v2/{0}/manifests/{1}", "/v2/library/nginx/manifests/{0}", "/v2/library/nginx/blobs/{0}", "/v2/{0}/blobs/{1}",
            "/v2/{0}/tags/list?n=3&last={1}", "/v2/library/nginx/blobs/uploads/{0}",
            "/v2/{0}/blobs/uploads/{1}?_state={0}", "/{0}/v2/{1}/manifests/latest", "/v2/library/nginx/manifests/latest?ns={0}",
            "/v2/_catalog?n=5&last={0}", "/v2/library/nginx/referrers/{0}",
            "/v2/library/{0}/{1}/manifests/latest", "/{0}", "/v2/{0}{1}", "/v2//{0}//manifests//{1}",
        ];
        var random = Figures.Random(4);
        string Some() => string.Join(
            random.Next(3) == 0 ? "" : "/", Enumerable.Range(0, random.Next(1, 5)).Select(_ => atoms[random.Next(atoms.Length)]));
        for (var i = 0; i < count; i++)
            yield return string.Format(CultureInfo.InvariantCulture, frames[i % frames.Length], Some(), Some());
    }

    private static int Status(string answer) => answer.StartsWith("HTTP/1.1 ", StringComparison.Ordinal)
        ? int.Parse(answer.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture)
        : 0;

    private async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Mirror.Url.Port, Cancel);
        return socket;
    }

    private async Task<string> SendRawAsync(byte[] message, bool endsAfterwards = true)
    {
        using var socket = await ConnectAsync();
        var answer = new StringBuilder();
        var buffer = new byte[16 * 1024];
        try
        {
            await socket.SendAsync(message, Cancel);
            if (endsAfterwards)
                socket.Shutdown(SocketShutdown.Send);
            while (await socket.ReceiveAsync(buffer, Cancel) is > 0 and var read)
                answer.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
        catch (SocketException)
        {
            // Refused before it was read to the end.
        }
        return answer.ToString();
    }
}
