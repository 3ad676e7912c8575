using System.Collections.Concurrent;
using System.Net;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>The mirror's upstream is a mirror whose upstream is this mirror.</summary>
public sealed class LoopTests : MirrorOfHub
{
    private const string Header = "X-Mirror-Loop";

    public static TheoryData<string> Paths =>
        [ManifestPath("latest"), BlobPath(HubBlob.Seeded(3, 10).Digest), $"{Repository}/tags/list"];

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_request_that_comes_back_ends_at_once(string path)
    {
        Hub.AsksForTokens = false;
        var inner = new ConcurrentBag<int>();
        Hub.Script(_ => true, Answer.By(async context =>
        {
            var request = context.Request;
            var marks = request.Headers[Header].ToString();
            using var again = await Mirror.SendAsync(
                new HttpMethod(request.Method), request.Path.Value!["/v2/".Length..], (Header, $"{marks} 0123456789abcdef"));
            inner.Add((int)again.StatusCode);
            context.Response.StatusCode = (int)again.StatusCode;
        }));

        using var response = await Mirror.GetAsync(path);

        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.All(inner, status => Assert.Equal(508, status));
        await Mirror.UntilLoggedAsync(line =>
            line.Contains($"this mirror asks itself through {Hub.Url.Authority}", StringComparison.Ordinal)
            && line.Contains("proxy.remoteurl", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Registries_get_the_marks_of_all_mirrors_on_the_way_and_other_hosts_get_none()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(3, 10));
        var seen = new ConcurrentBag<(string Origin, string Marks)>();
        foreach (var origin in new[] { "registry", "token", "cdn" })
            Hub.Script(
                request => request.Origin == origin,
                Answer.Noted(context => seen.Add((origin, context.Request.Headers[Header].ToString()))));

        using var response = await Mirror.SendAsync(HttpMethod.Get, BlobPath(blob.Digest), (Header, "0123456789abcdef"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Matches("^0123456789abcdef [0-9a-f]{16}$", seen.First(each => each.Origin is "registry").Marks);
        Assert.Equal(["cdn", "token"], seen.Where(each => each.Marks is "").Select(each => each.Origin).Distinct().Order());
    }
}
