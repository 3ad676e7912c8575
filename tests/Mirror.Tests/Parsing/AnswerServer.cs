using System.Globalization;
using System.Net;
using System.Text;
using Mirror.Tests.Peers;

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
internal sealed class AnswerServer : RawServer
{
    /// <summary>The answer to a request line, such as <c>GET / HTTP/1.1</c>.</summary>
    public Func<string, RawAnswer> Answer { get; set; } = _ => new([], [], 404);

    protected override (byte[] Answer, bool Close) AnswerTo(string line)
    {
        var answer = Answer(line);
        var head = string.Join("", answer.Headers.Select(header => $"{header}\r\n"));
        var start = string.Create(CultureInfo.InvariantCulture,
            $"HTTP/1.1 {answer.Status} x\r\n{head}Content-Length: {answer.Body.Length}\r\n\r\n");
        return ([.. Encoding.Latin1.GetBytes(start), .. IsHead(line) ? [] : answer.Body], false);
    }
}
