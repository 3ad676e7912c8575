using System.Text;
using Mirror.Storage;
using WireMock;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using WireMock.Types;
using WireMock.Util;

namespace Mirror.Tests.Upstream;

/// <summary>
/// A registry whose answers are ordinary HTTP, told one by one. <see cref="ScriptedHub"/> plays what this cannot: tokens, cut and stalled
/// bodies, and counted bytes.
/// </summary>
public sealed class OrdinaryUpstream : IDisposable
{
    private readonly WireMockServer _server = WireMockServer.Start();

    // The newest answer comes first.
    private int _priority;

    public OrdinaryUpstream() => Answer("GET", "", 200, "{}"u8.ToArray(), ("Content-Type", "application/json"));

    public Uri Url => new(_server.Url!);

    /// <summary>How many requests of a method came for a path below <c>/v2/</c>.</summary>
    public int Count(string method, string path) =>
        _server.LogEntries.Count(entry => entry.RequestMessage.Method == method && entry.RequestMessage.Path == $"/v2/{path}");

    /// <summary>The header <c>User-Agent</c> of each request; empty of a request without one.</summary>
    public IReadOnlyList<string> Agents =>
    [
        .. _server.LogEntries.Select(
            entry => entry.RequestMessage.Headers?.TryGetValue("User-Agent", out var agent) == true ? agent[0] : ""),
    ];

    /// <summary>Answers a path below <c>/v2/</c> from now on, in place of what was told before.</summary>
    public void Answer(string method, string path, int status, byte[] body, params (string Name, string Value)[] headers)
    {
        var response = Response.Create().WithStatusCode(status).WithBody(body);
        foreach (var (name, value) in headers)
            response = response.WithHeader(name, value);
        _server.Given(Request.Create().WithPath($"/v2/{path}").UsingMethod(method)).AtPriority(--_priority).RespondWith(response);
    }

    /// <summary>Answers GET of a list in pages, each by the query that asks for it: <c>last=b</c>, or nothing for the first page.</summary>
    /// <param name="path">Below <c>/v2/</c>; one that begins with a slash is the whole path.</param>
    /// <param name="page">The status, the body in JSON, and the headers <c>Link</c>.</param>
    public void AnswerPages(string path, Func<string, (int Status, string Json, string[] Links)> page)
    {
        var response = Response.Create().WithCallback(request =>
        {
            var (status, json, links) = page((request.RawQuery ?? "").TrimStart('?'));
            var headers = new Dictionary<string, WireMockList<string>> { ["Content-Type"] = new("application/json") };
            if (links.Length > 0)
                headers["Link"] = new(links);
            return new ResponseMessage
            {
                StatusCode = status,
                Headers = headers,
                BodyData = new BodyData { DetectedBodyType = BodyType.String, BodyAsString = json },
            };
        });
        var whole = path.StartsWith('/') ? path : $"/v2/{path}";
        _server.Given(Request.Create().WithPath(whole).UsingGet()).AtPriority(--_priority).RespondWith(response);
    }

    /// <summary>Answers GET and HEAD of a manifest under a tag and its digest.</summary>
    public Digest AddManifest(string repository, string tag, string manifest, string type)
    {
        var bytes = Encoding.UTF8.GetBytes(manifest);
        var digest = Digest.Of(bytes);
        foreach (var reference in new[] { tag, digest.ToString() })
            foreach (var method in new[] { "GET", "HEAD" })
                Answer(
                    method, $"{repository}/manifests/{reference}", 200, bytes,
                    ("Content-Type", type), ("Docker-Content-Digest", digest.ToString()));
        return digest;
    }

    public void Dispose() => _server.Dispose();
}
