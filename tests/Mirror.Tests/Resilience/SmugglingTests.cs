using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Messages whose end one reader sees elsewhere than another one (RFC 9112, 11.2). Behind a front that lets in logins only, a client
/// without one sends them to the one address that is open. A second request in such a message must never arrive, and each lawful client
/// beside gets its own answer.
/// </summary>
public sealed class SmugglingTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private const string Inner = "GET /v2/smuggled/app/tags/list HTTP/1.1\r\nHost: localhost\r\n\r\n";
    private const string Last = "GET /_ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    private const string Head = "POST /_ping HTTP/1.1\r\nHost: localhost\r\n";
    private const string Chunked = "Transfer-Encoding: chunked\r\n";

    // A connection that a front keeps open costs the test this time, and no more.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(Figures.Count(700, 5000));

    private static readonly string AsChunk = $"{Inner.Length:x}\r\n{Inner}\r\n0\r\n\r\n";
    private static readonly string WithLength = $"Content-Length: {5 + Inner.Length}\r\n";

    // To each of them there is one answer, and then the connection ends: what follows cannot be told.
    private static readonly string[] Ambiguous =
    [
        // CL.TE and TE.CL
        $"{Head}{WithLength}{Chunked}\r\n0\r\n\r\n{Inner}",
        $"{Head}{Chunked}{WithLength}\r\n0\r\n\r\n{Inner}",
        $"{Head}{Chunked}Content-Length: 4\r\n\r\n{AsChunk}",
        $"{Head}Content-Length: 4\r\n{Chunked}\r\n{AsChunk}",
        $"{Head}{Chunked}Content-Length: 0\r\n\r\n{AsChunk}",
        // TE.TE
        $"{Head}{Chunked}Transfer-Encoding: x\r\n\r\n0\r\n\r\n{Inner}",
        $"{Head}Transfer-Encoding: x\r\n{Chunked}{WithLength}\r\n0\r\n\r\n{Inner}",
        .. new[]
        {
            "xchunked", "chunked, identity", "identity", "\u000bchunked", "\"chunked\"", "chunked;q=1", "chunk", "chunked\u0000",
            "[chunked]",
        }.Select(value => $"{Head}Transfer-Encoding: {value}\r\n{WithLength}\r\n0\r\n\r\n{Inner}"),
        $"{Head}Transfer-Encoding : chunked\r\n{WithLength}\r\n0\r\n\r\n{Inner}",
        $"{Head}X: y\rTransfer-Encoding: chunked\r\n{WithLength}\r\n0\r\n\r\n{Inner}",
        $"{Head}X: y\nTransfer-Encoding: chunked\r\n{WithLength}\r\n0\r\n\r\n{Inner}",
        $"{Head}Transfer-Encoding:\tchunked\r\n{WithLength}\r\n0\r\n\r\n{Inner}",
        // Lines folded (RFC 9112, 5.2)
        $"{Head}Transfer-Encoding:\r\n chunked\r\n{WithLength}\r\n0\r\n\r\n{Inner}",
        $"{Head}X: y\r\n Content-Length: 0\r\n{WithLength}\r\n0\r\n\r\n{Inner}",
        // Lengths that differ, or are none
        $"{Head}Content-Length: 0\r\n{WithLength}\r\n{Inner}",
        $"{Head}{WithLength}Content-Length: 0\r\n\r\n{Inner}",
        $"{Head}Content-Length: 0, {Inner.Length}\r\n\r\n{Inner}",
        $"{Head}Content-Length : {Inner.Length}\r\n\r\n{Inner}",
        $"{Head}Content-Length: 0x{Inner.Length:x}\r\n\r\n{Inner}",
        $"{Head}Content-Length: -1\r\n\r\n{Inner}",
        $"{Head}Content-Length: 18446744073709551616\r\n\r\n{Inner}",
        // Chunks that are none: a bare LF, signs, a size past 64 bits, no end of line
        $"{Head}{Chunked}\r\n3\nabc\n0\n\n{Inner}",
        $"{Head}{Chunked}\r\n3;\nabc\r\n0\r\n\r\n{Inner}",
        $"{Head}{Chunked}\r\n+3\r\nabc\r\n0\r\n\r\n{Inner}",
        $"{Head}{Chunked}\r\n0x3\r\nabc\r\n0\r\n\r\n{Inner}",
        $"{Head}{Chunked}\r\n10000000000000000\r\n\r\n0\r\n\r\n{Inner}",
        $"{Head}{Chunked}\r\n3\r\nabcXX0\r\n\r\n{Inner}",
        // HTTP/1.0 knows no chunks (RFC 9112, 6.1)
        $"POST /_ping HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n{Chunked}\r\n0\r\n\r\n{Inner}",
    ];

    // These are told by their length; the request inside is a body.
    private static readonly string[] Bodies =
    [
        .. new[] { "GET", "HEAD", "POST", "DELETE", "OPTIONS" }.Select(
            method => $"{method} /_ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: {Inner.Length}\r\n\r\n{Inner}"),
        $"{Head}Expect: 100-continue\r\nContent-Length: {Inner.Length}\r\n\r\n{Inner}",
        $"{Head}\u000bTransfer-Encoding: chunked\r\n{WithLength}\r\n0\r\n\r\n{Inner}",
        $"{Head}{Chunked}\r\n{AsChunk}",
        $"{Head}{Chunked}\r\n{Inner.Length:x};name=value\r\n{Inner}\r\n0\r\nContent-Length: 3\r\nHost: smuggled\r\n\r\n",
        $"GET /_ping HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
            + $"Content-Length: {Inner.Length}\r\n\r\n{Inner}",
    ];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_server_itself_ends_the_connection_where_the_end_of_a_message_cannot_be_told()
    {
        await Task.WhenAll(Ambiguous.Select(async message =>
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, registry.Mirror.Url.Port, Cancel);
            var answer = await AskAsync(client.GetStream(), message + Last, Cancel);
            Assert.True(answer.Split("HTTP/1.1 ").Length == 2, $"{message}\n{answer}");
        }));
        await AssertNothingCameThroughAsync();
    }

    // RFC 9112, 6.1. Kestrel takes each of them for chunked, and the server would store what is still packed.
    [Theory]
    [InlineData("Transfer-Encoding: gzip, chunked\r\n")]
    [InlineData("Transfer-Encoding: deflate,Chunked\r\n")]
    [InlineData("Transfer-Encoding: chunked, chunked\r\n")]
    [InlineData("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n")]
    public async Task A_coding_of_the_body_that_the_server_does_not_know_is_answered_501(string codings)
    {
        var digest = Digest.Of("packed"u8);
        var name = registry.NewRepository().Name;
        foreach (var target in new[] { $"/v2/{name}/blobs/uploads/?digest={digest}", "/mirror/v1/images", "/ui/" })
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, registry.Mirror.Url.Port, Cancel);
            var message = $"POST {target} HTTP/1.1\r\nHost: localhost\r\n{codings}\r\n6\r\npacked\r\n0\r\n\r\n{Inner}";
            var answer = await AskAsync(client.GetStream(), message, Cancel);

            Assert.StartsWith("HTTP/1.1 501 ", answer, StringComparison.Ordinal);
            Assert.Equal(2, answer.Split("HTTP/1.1 ").Length);
            Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
            if (target.StartsWith("/v2/", StringComparison.Ordinal))
                Assert.Contains("{\"errors\":[{\"code\":\"UNSUPPORTED\"", answer, StringComparison.Ordinal);
        }
        Assert.Equal(HttpStatusCode.NotFound, await new PushedRepository(registry.Mirror, name).StatusOfAsync("HEAD", $"blobs/{digest}"));
        await AssertNothingCameThroughAsync();
    }

    // A front closes its connection when its client leaves. Kestrel then takes a body that no code has read for the next request.
    [Fact]
    public async Task What_a_client_that_has_left_sent_as_a_body_is_no_request()
    {
        await Task.WhenAll(Enumerable.Repeat(Bodies, 20).SelectMany(each => each).Select(async message =>
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, registry.Mirror.Url.Port, Cancel);
            var connection = client.GetStream();
            await connection.WriteAsync(Encoding.Latin1.GetBytes(message), Cancel);
            client.Client.Shutdown(SocketShutdown.Send);
            _ = await AskAsync(connection, "", Cancel);
        }));
        await AssertNothingCameThroughAsync();
    }

    [Theory]
    [InlineData("nginx")]
    [InlineData("nginx", true)]
    [InlineData("haproxy")]
    [InlineData("apache2")]
    [InlineData("apache2", true)]
    [InlineData("caddy")]
    public async Task Behind_a_front_no_second_request_comes_through_and_no_client_gets_the_answer_of_another(
        string program, bool isOld = false)
    {
        Availability.Of(program).OrSkip();
        var blobs = await Task.WhenAll(Enumerable.Range(0, 4).Select(PushAsync));
        await using var front = await Front.StartAsync(program, registry.Mirror.Authority, withPasswords: true, isOld);
        using var http = Front.Client(withLogin: true);
        var (isOver, right) = (false, 0);
        var lawful = Enumerable.Range(0, 4).Select(i => Task.Run(LawfulAsync, Cancel)).ToList();
        var rounds = Figures.Count(1, 30);
        for (var round = 0; round < rounds; round++)
            await Task.WhenAll(Ambiguous.Concat(Bodies).Select(AttackAsync));
        Volatile.Write(ref isOver, true);
        await Task.WhenAll(lawful);
        await AssertNothingCameThroughAsync();
        Figures.Report($"{program}{(isOld ? " as in the old manuals" : "")}: {rounds * (Ambiguous.Length + Bodies.Length)} messages, "
            + $"nothing came through, {right} of {right} lawful requests right");

        async Task LawfulAsync()
        {
            for (var i = 0; i < 30 || !Volatile.Read(ref isOver); i++)
            {
                var (digest, bytes) = blobs[i % blobs.Length];
                var got = await http.GetByteArrayAsync($"{front.Url}/v2/lawful/app/blobs/{digest}", Cancel);
                Assert.Equal(bytes, got);
                Interlocked.Increment(ref right);
            }
        }

        async Task AttackAsync(string message)
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            patience.CancelAfter(Patience);
            try
            {
                await using var connection = await front.ConnectAsync(patience.Token);
                _ = await AskAsync(connection, message, patience.Token);
            }
            catch (OperationCanceledException) when (!Cancel.IsCancellationRequested)
            {
                // The front waits for more.
            }
            catch (Exception cut) when (cut is IOException or SocketException)
            {
                // Refused before it was read to the end.
            }
        }
    }

    private async Task<(Digest Digest, byte[] Bytes)> PushAsync(int seed)
    {
        var bytes = Encoding.ASCII.GetBytes(new string((char)('a' + seed), 1000 + seed));
        var digest = Digest.Of(bytes);
        using var pushed = await new PushedRepository(registry.Mirror, "lawful/app")
            .SendAsync("POST", $"blobs/uploads/?digest={digest}", bytes);
        Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        return (digest, bytes);
    }

    // What the peer answers to a message until it ends the connection.
    private static async Task<string> AskAsync(Stream connection, string message, CancellationToken cancellationToken)
    {
        var answer = new StringBuilder();
        var buffer = new byte[16 << 10];
        try
        {
            await connection.WriteAsync(Encoding.Latin1.GetBytes(message), cancellationToken);
            while (await connection.ReadAsync(buffer, cancellationToken) is > 0 and var read)
                answer.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
        catch (IOException)
        {
            // A connection that ends with bytes that were not read is reset.
        }
        return answer.ToString();
    }

    // The log is written in order: what stands before the last line is all there is.
    private async Task AssertNothingCameThroughAsync()
    {
        var last = $"n=1&last={Guid.NewGuid():N}";
        using (await registry.Mirror.GetAsync($"_catalog?{last}"))
        {
        }
        await registry.Mirror.UntilLoggedAsync(line => line.Contains(last, StringComparison.Ordinal));
        var smuggled = registry.Mirror.Log.Where(line => line.Contains("smuggled", StringComparison.Ordinal)).ToList();
        Assert.True(smuggled is [], $"{smuggled.Count} lines:\n{string.Join('\n', smuggled.Take(5))}");
    }
}
