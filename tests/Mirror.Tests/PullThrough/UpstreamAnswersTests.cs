using System.Net;
using Mirror.Storage;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>For missing content, upstream's "no", "later" and silence become three different answers.</summary>
public sealed class UpstreamAnswersTests : MirrorOfHub
{
    private static readonly HubBlob Blob = HubBlob.Seeded(11, 1024);

    public static TheoryData<string> Paths =>
        [$"{Repository}/manifests/latest", $"{Repository}/manifests/{Digest.Of("cold"u8)}", $"{Repository}/blobs/{Blob.Digest}"];

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Missing_content_is_404(string path)
    {
        Hub.AddImage(Repository, "another");
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Refused_despite_a_good_token_is_404(string path)
    {
        Script(Answer.RefusedDespiteToken);
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Too_many_requests_is_429_with_Retry_After(string path)
    {
        Script(Answer.TooManyRequests("7"));
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.TooManyRequests, response);
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 7);
    }

    [Fact]
    public async Task A_429_in_plain_text_becomes_429_in_JSON()
    {
        Script(Answer.TooManyRequestsInPlainText);
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.TooManyRequests, response);
        Assert.NotNull(response.Headers.RetryAfter);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Unavailable_is_503(string path)
    {
        Script(Answer.Status(503, "UNAVAILABLE"));
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_connection_that_is_reset_is_503(string path)
    {
        Script(Answer.Reset);
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_connection_that_is_refused_is_503(string path)
    {
        await Hub.Registry.TakeDownAsync();
        using var response = await Mirror.GetAsync(path);
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }

    [Fact]
    public async Task An_unreachable_token_service_is_503()
    {
        Hub.AddImage(Repository, "latest");
        await Hub.Token.TakeDownAsync();
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }

    [Fact]
    public async Task An_HTML_page_is_no_manifest()
    {
        Script(Answer.Html());
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
    }

    [Fact]
    public async Task A_single_failure_is_retried_unnoticed_by_clients()
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(Asked.Manifest, Answer.Status(503, "UNAVAILABLE"), times: 1);
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Other_content_is_served_while_the_connection_is_reset_for_one_blob()
    {
        var (broken, whole) = (Hub.AddBlob(Repository, HubBlob.Seeded(70, 1000)), Hub.AddBlob(Repository, HubBlob.Seeded(71, 1000)));
        Hub.Script(request => request.Path.Contains(broken.Digest.Hex, StringComparison.Ordinal), Answer.Reset);
        using (var failed = await Mirror.GetAsync(BlobPath(broken.Digest)))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, failed);
        using var response = await Mirror.GetAsync(BlobPath(whole.Digest));
        Assert.Equal(whole.Digest, await DigestOfAsync(response));
    }

    [Fact]
    public async Task A_failure_is_not_cached()
    {
        Hub.AddImage(Repository, "latest");
        using (Hub.Script(Asked.Manifest, Answer.Status(503, "UNAVAILABLE")))
        using (var failed = await Mirror.GetAsync(ManifestPath("latest")))
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, failed);
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private void Script(Answer answer) => Hub.Script(r => r.Asked is Asked.Manifest or Asked.Blob, answer);
}
