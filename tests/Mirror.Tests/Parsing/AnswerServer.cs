using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mirror.Tests.Parsing;

/// <summary>An answer: lines of headers, an empty line, and a body. A text without an empty line is a body.</summary>
internal sealed record RawAnswer(string[] Headers, byte[] Body, int Status = 200)
{
    public static RawAnswer Of(string text)
    {
        var end = text.StartsWith('\n') ? 0 : text.IndexOf("\n\n", StringComparison.Ordinal);
        if (end < 0)
            return new([], FuzzText.Bytes(text));
        var headers = text[..end].Split('\n').Where(line => line.IndexOf(": ", StringComparison.Ordinal) is > 0 and var colon
            && line[..colon].All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '-')
            && line.All(letter => letter is >= ' ' and <= '~')
            && (!line.StartsWith("Content-", StringComparison.OrdinalIgnoreCase)
                || line.StartsWith("Content-Type:", StringComparison.OrdinalIgnoreCase))
            && !line.StartsWith("Transfer-", StringComparison.OrdinalIgnoreCase)).ToArray();
        return new(headers, FuzzText.Bytes(text[(end + (end == 0 ? 1 : 2))..]));
    }

    public HttpResponseMessage ToResponse(HttpRequestMessage request)
    {
        var response = new HttpResponseMessage((HttpStatusCode)Status) { RequestMessage = request, Content = new ByteArrayContent(Body) };
        foreach (var line in Headers)
            _ = response.Headers.TryAddWithoutValidation(line.Split(": ")[0], line.Split(": ", 2)[1])
                || response.Content.Headers.TryAddWithoutValidation(line.Split(": ")[0], line.Split(": ", 2)[1]);
        return response;
    }
}

/// <summary>Gives the answers that a parser reads, without a connection.</summary>
internal sealed class AnswerHandler(Func<HttpRequestMessage, RawAnswer> answer) : HttpMessageHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        Task.FromResult(answer(request).ToResponse(request));
}

/// <summary>A server on this machine that gives the answers that a parser reads. One parser at a time uses it.</summary>
internal sealed class AnswerServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();

    public AnswerServer()
    {
        _listener.Start();
        Address = new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture)}");
        _ = AcceptAsync();
    }

    public Uri Address { get; }

    /// <summary>The answer to a request line, such as <c>GET / HTTP/1.1</c>.</summary>
    public Func<string, RawAnswer> Answer { get; set; } = _ => new([], [], 404);

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
                    var length = 0;
                    while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 } header)
                        if (header.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))
                            length = int.Parse(header["Content-Length:".Length..], CultureInfo.InvariantCulture);
                    // A read of nothing would wait for the next request.
                    if (length > 0)
                        await reader.ReadBlockAsync(new char[length], _end.Token);
                    var answer = Answer(line);
                    var isHead = line.StartsWith("HEAD ", StringComparison.Ordinal);
                    var head = string.Join("", answer.Headers.Select(header => $"{header}\r\n"));
                    var start = string.Create(CultureInfo.InvariantCulture,
                        $"HTTP/1.1 {answer.Status} x\r\n{head}Content-Length: {answer.Body.Length}\r\n\r\n");
                    byte[] whole = [.. Encoding.Latin1.GetBytes(start), .. isHead ? [] : answer.Body];
                    await client.GetStream().WriteAsync(whole, _end.Token);
                }
            }
            catch (Exception gone) when (gone is IOException or OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The client needs no more answers.
            }
    }
}
