using System.Net;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>Doubled slashes in a path, and a slash too many at its end: clients are redirected, as by <c>registry:2</c>.</summary>
public sealed class CleanPathTests(CleanPathTests.Registry registry) : IClassFixture<CleanPathTests.Registry>
{
    private const string Digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/x/v2/_catalog/", "/x/v2/_catalog")]
    [InlineData("GET", "/x/v2/_catalog/?n=5&last=a%2Fb", "/x/v2/_catalog?n=5&last=a%2Fb")]
    [InlineData("GET", "/x/v2//_catalog", "/x/v2/_catalog")]
    [InlineData("GET", "/x/v2//", "/x/v2/")]
    [InlineData("GET", "/x//v2/", "/x/v2/")]
    [InlineData("GET", "//x/v2//", "/x/v2/")]
    [InlineData("GET", "/x/v2/local/app/tags/list/", "/x/v2/local/app/tags/list")]
    [InlineData("GET", "/x/v2//local/app/tags/list", "/x/v2/local/app/tags/list")]
    [InlineData("GET", "/x/v2/local/app/manifests/v1/", "/x/v2/local/app/manifests/v1")]
    [InlineData("HEAD", "/x/v2/local//app///manifests/v1//", "/x/v2/local/app/manifests/v1")]
    [InlineData("GET", "/x/v2/local/app/manifests/manifests/", "/x/v2/local/app/manifests/manifests")]
    [InlineData("HEAD", $"/x/v2/local/app/blobs//{Digest}", $"/x/v2/local/app/blobs/{Digest}")]
    [InlineData("DELETE", $"/x/v2/local/app/manifests/{Digest}/", $"/x/v2/local/app/manifests/{Digest}")]
    [InlineData("PUT", "/x/v2//local/app/manifests/v1", "/x/v2/local/app/manifests/v1")]
    [InlineData("POST", "/x/v2/local/app/blobs/uploads//", "/x/v2/local/app/blobs/uploads/")]
    [InlineData("GET", $"/x/v2/local/app/referrers/{Digest}/", $"/x/v2/local/app/referrers/{Digest}")]
    [InlineData("GET", "/x/ghcr.io/v2//app/tags/list", "/x/ghcr.io/v2/app/tags/list")]
    public async Task The_client_is_sent_to_the_clean_path(string method, string path, string expected)
    {
        using var answer = await AskAsync(method, path);
        var location = answer.Headers.TryGetValues("Location", out var values) ? values.Single() : null;
        Assert.Equal((HttpStatusCode.MovedPermanently, expected), (answer.StatusCode, location));
    }

    [Theory]
    [InlineData("GET", "/x/v2/", HttpStatusCode.Unauthorized)]
    [InlineData("GET", "//x/v2/", HttpStatusCode.Unauthorized)]
    [InlineData("GET", "///x/v2/_catalog", HttpStatusCode.Unauthorized)]
    [InlineData("POST", "/x/v2/local/app/blobs/uploads/", HttpStatusCode.Unauthorized)]
    [InlineData("POST", "/x/v2/local/app/blobs/uploads", HttpStatusCode.Unauthorized)]
    [InlineData("GET", "/", HttpStatusCode.OK)]
    [InlineData("GET", "//", HttpStatusCode.NotFound)]
    [InlineData("GET", "//evil.example//", HttpStatusCode.NotFound)]
    [InlineData("GET", "//evil.example/%2e%2e//", HttpStatusCode.NotFound)]
    [InlineData("GET", "/x//evil.example/", HttpStatusCode.NotFound)]
    [InlineData("GET", "/x/evil.example/v2//_catalog", HttpStatusCode.NotFound)]
    public async Task A_clean_path_and_one_that_means_nothing_are_answered_as_before(string method, string path, HttpStatusCode expected)
    {
        using var answer = await AskAsync(method, path);
        Assert.Equal((expected, false), (answer.StatusCode, answer.Headers.Contains("Location")));
    }

    [Theory]
    [InlineData("//evil.example/x/v2//")]
    [InlineData("/\\evil.example/x/v2//")]
    [InlineData("/%5cevil.example/x/v2//_catalog/")]
    [InlineData("/%2f/evil.example/v2//")]
    [InlineData("/.//evil.example/x/v2//")]
    public async Task No_redirect_leads_to_another_server(string path)
    {
        using var answer = await AskAsync("GET", path);
        if (answer.Headers.TryGetValues("Location", out var values))
            Assert.Matches(@"\A/[^/\\]", values.Single());
    }

    private async Task<HttpResponseMessage> AskAsync(string method, string path)
    {
        using var request = new HttpRequestMessage(
            new(method), new Uri($"{registry.Url.GetLeftPart(UriPartial.Authority)}{path}", new UriCreationOptions
            {
                // The path is sent as it is written.
                DangerousDisablePathAndQueryCanonicalization = true,
            }));
        return await Http.Client.SendAsync(request, Cancel);
    }

    /// <summary>A registry with a prefix and a login: a redirect needs none.</summary>
    public sealed class Registry : IAsyncLifetime
    {
        private readonly TempFolder _folder = new();
        private MirrorProcess _process = null!;

        internal Uri Url => _process.Url;

        public async ValueTask InitializeAsync()
        {
            MirrorProcess.Availability.OrSkip();
            var users = _folder.Write("htpasswd", "");
            _process = await MirrorProcess.StartAsync(new MirrorSettings
            {
                Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_PREFIX"] = "/x/" },
                More = $"auth: {{htpasswd: {{realm: r, path: {users}}}}}",
            });
        }

        public async ValueTask DisposeAsync()
        {
            if (_process is not null)
                await _process.DisposeAsync();
            _folder.Dispose();
        }
    }
}
