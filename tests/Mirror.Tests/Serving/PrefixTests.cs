using System.Net;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>With <c>http.prefix</c> the paths beside the registry are answered as by docker-registry.</summary>
public sealed class PrefixTests
{
    [Fact]
    public async Task Only_the_registry_below_the_prefix_and_the_root_of_the_server_are_there()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_PREFIX"] = "/x/" },
        });
        List<(string, HttpStatusCode, bool)> answers = [];
        foreach (var path in new[] { "/", "/x/v2/", "/x", "/x/", "/x/y", "/v2/", "/xv2/", "/xy/v2/" })
        {
            using var answer = await Http.Client.GetAsync(new Uri(mirror.Url, path), TestContext.Current.CancellationToken);
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            answers.Add((path, answer.StatusCode, text.Contains("errors", StringComparison.Ordinal)));
        }
        Assert.Equal(
            [
                ("/", HttpStatusCode.OK, false), ("/x/v2/", HttpStatusCode.OK, false), ("/x", HttpStatusCode.NotFound, true),
                ("/x/", HttpStatusCode.NotFound, true), ("/x/y", HttpStatusCode.NotFound, true), ("/v2/", HttpStatusCode.NotFound, true),
                ("/xv2/", HttpStatusCode.NotFound, true), ("/xy/v2/", HttpStatusCode.NotFound, true),
            ],
            answers);
        Assert.DoesNotContain(mirror.Log, line => line.Contains("unexpected failure", StringComparison.Ordinal));
    }
}
