using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;
using static Mirror.Tests.Parsing.ParserInputs;

namespace Mirror.Tests.Parsing;

/// <summary>
/// Requests that clients send, with changes in their path, their query, their headers and their body: the running server may refuse them,
/// and never fails over them.
/// </summary>
public sealed class RequestFuzzTests
{
    private const string Hash = "sha256:" + Hex;

    private static readonly string Manifest =
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{Entry}},"layers":[{{Entry}}],"subject":{{Entry}}}""";

    // A method, a path and a query, headers, and a body.
    private static readonly (string Method, string Target, string[] Headers, string Body)[] Requests =
    [
        ("GET", "/v2/", ["Authorization: Basic YTpi"], ""),
        ("GET", "/v2/_catalog?n=10&last=a", ["Accept: application/json"], ""),
        ("GET", "/v2/local/a/tags/list?n=1&last=b&ns=x", [], ""),
        ("GET", "/v2/local/a/manifests/latest", ["Accept: " + MediaTypes.OciIndex, "If-None-Match: \"x\""], ""),
        ("HEAD", $"/v2/local/a/manifests/{Hash}", ["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: a"], ""),
        ("GET", $"/v2/local/a/blobs/{Hash}", ["Range: bytes=0-1,3-4,-1", "If-Range: \"x\""], ""),
        ("GET", $"/v2/local/a/referrers/{Hash}?artifactType=a/b&last={Hash}", ["Forwarded: for=\"[::1]:1\";proto=http;host=b"], ""),
        ("GET", "/v1/search?q=a&n=5", ["Origin: https://a.example"], ""),
        ("GET", "/auth/token?service=mirror&scope=repository:local/a:pull,push&scope=registry:catalog:*",
            ["Authorization: Bearer a.b.c"], ""),
        ("POST", $"/v2/local/a/blobs/uploads/?mount={Hash}&from=local/b", ["Content-Type: application/octet-stream"], ""),
        ("POST", $"/v2/local/a/blobs/uploads/?digest={Hash}", ["Content-Type: application/octet-stream"], ""),
        ("PATCH", "/v2/local/a/blobs/uploads/00000000-0000-0000-0000-000000000000?_state=a", ["Content-Range: 0-9"], "0123456789"),
        ("PUT", $"/v2/local/a/blobs/uploads/x?digest={Hash}", ["Content-Range: bytes 0-0/1"], "a"),
        ("PUT", "/v2/local/a/manifests/latest", ["Content-Type: " + MediaTypes.OciManifest], Manifest),
        ("PUT", $"/v2/local/a/manifests/{Hash}", ["Content-Type: " + MediaTypes.OciIndex + "; charset=utf-8"],
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{Entry}}]}"""),
        ("PUT", "/v2/local/a/manifests/old", ["Content-Type: " + MediaTypes.DockerSignedSchema1],
            $$"""{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[{"blobSum":"{{Hash}}"}],"history":[{"v1Compatibility":"{}"}]}"""),
        ("DELETE", $"/v2/local/a/manifests/{Hash}", [], ""),
        ("DELETE", "/v2/local/a/blobs/uploads/00000000-0000-0000-0000-000000000000", [], ""),
        ("OPTIONS", "/v2/local/a/tags/list", ["Origin: https://a", "Access-Control-Request-Method: PUT"], ""),
        ("GET", "/mirror/v1/images?search=a&sort=size&n=2", ["Authorization: Bearer x"], ""),
        ("GET", "/ui/?search=a", ["Cookie: mirror=a.1.b.c"], ""),
        ("POST", "/ui/login", ["Content-Type: application/x-www-form-urlencoded"], "name=a&password=b&token=c"),
    ];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_request_makes_the_server_fail()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Hosted = "[\"**\"]",
            More = """
                access:
                  rules:
                  - {who: {anonymous: true}, repositories: ["**"], actions: [pull, push, delete, list]}
                compatibility:
                  schema1: {enabled: true}
                """,
            Environment = new Dictionary<string, string> { ["REGISTRY_STORAGE_DELETE_ENABLED"] = "true" },
        });
        var (random, statuses) = (Figures.Random(14), new SortedDictionary<int, int>());
        var count = Figures.Count(400, 30_000);
        for (var i = 0; i < count; i++)
        {
            var message = Message(Requests[i % Requests.Length], random);
            var answer = await SendAsync(mirror.Url, message);
            // No answer: the server closed a connection whose message it could not read.
            var status = answer.Split(' ', 3) is ["HTTP/1.1", var number, _] ? int.Parse(number, CultureInfo.InvariantCulture) : 0;
            Assert.True(status < 500, $"{Uri.EscapeDataString(Encoding.Latin1.GetString(message))}\n{answer}");
            statuses[status] = statuses.GetValueOrDefault(status) + 1;
        }
        Assert.DoesNotContain(mirror.Log, line => line.Contains("unhandled", StringComparison.OrdinalIgnoreCase)
            || line.Contains("   at ", StringComparison.Ordinal));
        Figures.Report($"{count} changed requests, 0 x 5xx: {string.Join(", ", statuses.Select(each => $"{each.Value} x {each.Key}"))}");
    }

    private static byte[] Message((string Method, string Target, string[] Headers, string Body) request, Random random)
    {
        var (target, headers, body) = (request.Target, request.Headers, request.Body);
        // Mostly one part of a request is changed: others would hide it.
        var part = random.Next(4);
        if (part is 0 or 3)
            target = "/" + FuzzText.Changed(target[1..], random);
        if (part is 1 or 3)
            headers = [.. headers.Select(line => line.Split(": ", 2)).Select(pair => $"{pair[0]}: {FuzzText.Changed(pair[1], random)}")];
        if (part is 2 or 3)
            body = FuzzText.Changed(body, random);
        var bytes = FuzzText.Bytes(body);
        var head = $"{request.Method} {Escaped(target)} HTTP/1.1\r\nHost: mirror.example\r\nConnection: close\r\n"
            + string.Concat(headers.Select(line => $"{InLine(line)}\r\n")) + $"Content-Length: {bytes.Length}\r\n\r\n";
        return [.. Encoding.UTF8.GetBytes(head), .. bytes];
    }

    private static string Escaped(string target) => string.Concat(FuzzText.Bytes(target).Select(
        letter => letter is > (byte)' ' and <= (byte)'~' ? ((char)letter).ToString() : $"%{letter:x2}"));

    private static string InLine(string header) => string.Concat(header.Where(letter => letter is >= ' ' and not '\u007f'));

    private static async Task<string> SendAsync(Uri server, byte[] message)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port, Cancel);
        await using var stream = client.GetStream();
        var answer = new MemoryStream();
        try
        {
            await stream.WriteAsync(message, Cancel);
            await stream.CopyToAsync(answer, Cancel);
        }
        catch (IOException)
        {
            // The server may close the connection before it has read all.
        }
        return Encoding.Latin1.GetString(answer.ToArray());
    }
}
