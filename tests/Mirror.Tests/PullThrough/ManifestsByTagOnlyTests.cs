using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Registries that send a manifest by its tag, and not by the digest that their HEAD of the tag names.</summary>
public sealed class ManifestsByTagOnlyTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "0" };

    public static TheoryData<string> Refusals => ["404", "403", "400", "405", "500", "redirect to a host that is down"];

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_tag_that_is_new_here_is_fetched_by_its_name(string refusal)
    {
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 10));
        Hub.Script(ByDigest, AnswerOf(refusal));
        await AssertLatestIsAsync(image);
    }

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_tag_that_moves_is_fetched_by_its_name(string refusal)
    {
        var before = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 10));
        using (var first = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(before.Bytes, await first.Content.ReadAsByteArrayAsync(Cancel));
        var image = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 10));
        Hub.Script(ByDigest, AnswerOf(refusal));
        // Docker sends HEAD first.
        using (var head = await Mirror.HeadAsync(ManifestPath("latest")))
            Assert.Equal(image.Digest.ToString(), head.Headers.GetValues("Docker-Content-Digest").Single());
        await AssertLatestIsAsync(image);
    }

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_tag_whose_HEAD_always_names_a_manifest_that_is_gone_moves(string refusal)
    {
        var gone = Digest.Of("gone"u8);
        Hub.Script(r => IsByTag(r) && r.Method == "HEAD", Answer.By(context =>
        {
            (context.Response.ContentType, context.Response.ContentLength) = (MediaTypes.OciManifest, 100);
            context.Response.Headers["Docker-Content-Digest"] = gone.ToString();
            return Task.CompletedTask;
        }));
        Hub.Script(r => r.Path.EndsWith(gone.Hex, StringComparison.Ordinal), AnswerOf(refusal));
        await AssertLatestIsAsync(Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 10)));
        await AssertLatestIsAsync(Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 10)));
    }

    [Fact]
    public async Task A_tag_that_cannot_be_had_by_its_name_either_stays_where_it_was()
    {
        var before = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 10));
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 10));
        // The content of upstream's front and that of the registry behind it differ for some time.
        Hub.Script(r => r is { Asked: Asked.Manifest, Method: "GET" }, Answer.NotFound);
        for (var i = 0; i < 2; i++)
        {
            using var stale = await Mirror.GetAsync(ManifestPath("latest"));
            Assert.Equal(before.Bytes, await stale.Content.ReadAsByteArrayAsync(Cancel));
            Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(stale));
        }
    }

    [Theory]
    [InlineData("429", HttpStatusCode.TooManyRequests)]
    [InlineData("down", HttpStatusCode.ServiceUnavailable)]
    public async Task An_upstream_that_says_later_or_says_nothing_is_not_asked_by_the_name(string trouble, HttpStatusCode status)
    {
        Hub.AddImage(Repository, "latest");
        Hub.Script(ByDigest, trouble == "429" ? Answer.TooManyRequests("7") : Answer.Reset);
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(status, response);
        Assert.DoesNotContain(Hub.Log.Requests, r => IsByTag(r) && r.Method == "GET");
    }

    private static bool IsByTag(HubRequest request) =>
        request.Asked == Asked.Manifest && request.Path.EndsWith("/latest", StringComparison.Ordinal);

    private static bool ByDigest(HubRequest request) => request.Asked == Asked.Manifest && !IsByTag(request);

    private static Answer AnswerOf(string refusal) => int.TryParse(refusal, out var status)
        ? Answer.Status(status)
        // Nothing listens on the port of the protocol that throws everything away.
        : Answer.Redirect("http://127.0.0.1:9/manifest");

    private async Task AssertLatestIsAsync(HubImage image)
    {
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.NotEqual(CacheAnswer.Stale, CacheAnswer.Of(response));
    }
}

/// <summary>An index whose image for clients that read no index is not at upstream.</summary>
public sealed class IncompleteIndexTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "0" };

    [Fact]
    public async Task The_stored_index_is_served_also_while_upstream_is_away()
    {
        var image = Hub.AddImage(Repository, "amd64");
        var index = Hub.AddIndex(Repository, "latest", (image, "amd64"));
        Hub.Script(r => r.Path.EndsWith(image.Digest.Hex, StringComparison.Ordinal), Answer.NotFound);
        var accept = ("Accept", MediaTypes.DockerManifest);
        using (var first = await Mirror.GetAsync(ManifestPath("latest"), accept))
            Assert.Equal(index.Bytes, await first.Content.ReadAsByteArrayAsync(Cancel));

        await Hub.Registry.TakeDownAsync();
        using var again = await Mirror.GetAsync(ManifestPath("latest"), accept);
        Assert.Equal(index.Bytes, await again.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(again));
        using var head = await Mirror.HeadAsync(ManifestPath("latest"), accept);
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.Equal(index.Digest.ToString(), head.Headers.GetValues("Docker-Content-Digest").Single());
    }
}
