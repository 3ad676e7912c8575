using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Within <c>tags_cache_ttl</c> a tag is answered without asking anyone.</summary>
public sealed class FreshTagTests : MirrorOfHub
{
    [Fact]
    public async Task A_tag_asked_again_within_its_time_asks_upstream_nothing()
    {
        var image = Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.Log.Clear();
        using var again = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(image.Bytes, await again.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(again));
        Assert.Empty(Hub.Log.Requests);
    }

    [Fact]
    public async Task A_cold_tag_costs_one_pull_however_many_ask()
    {
        Hub.AddImage(Repository, "latest");
        var gate = new Gate();
        Hub.Script(Asked.Manifest, Answer.HeldBy(gate));
        var all = Enumerable.Range(0, 20).Select(_ => Mirror.GetAsync(ManifestPath("latest"))).ToList();
        await gate.Reached;
        gate.Open();
        Assert.All(await Task.WhenAll(all), r => Assert.Equal(HttpStatusCode.OK, r.StatusCode));
        Assert.Equal(1, Hub.Pulls);
    }

    [Fact]
    public async Task The_answer_has_type_digest_etag_and_length_and_the_bytes_as_they_were_pushed()
    {
        var image = Hub.AddImage(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"), ("Accept-Encoding", "gzip"));
        Assert.Equal(image.MediaType, response.Content.Headers.ContentType?.ToString());
        Assert.Equal(image.Digest.ToString(), response.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal($"\"{image.Digest}\"", response.Headers.ETag?.ToString());
        Assert.Equal(image.Bytes.Length, response.Content.Headers.ContentLength);
        Assert.Equal("registry/2.0", response.Headers.GetValues("Docker-Distribution-Api-Version").Single());
        Assert.Empty(response.Content.Headers.ContentEncoding);
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task HEAD_of_a_cold_tag_is_no_pull()
    {
        var image = Hub.AddImage(Repository, "latest");
        using var response = await Mirror.HeadAsync(ManifestPath("latest"));
        Assert.Equal(image.Digest.ToString(), response.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal(image.Bytes.Length, response.Content.Headers.ContentLength);
        Assert.Equal(0, Hub.Pulls);
    }

    [Fact]
    public async Task A_manifest_by_digest_never_asks_upstream_when_present()
    {
        var image = Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath(image.Digest)))
            await Hub.Registry.TakeDownAsync();
        using var again = await Mirror.GetAsync(ManifestPath(image.Digest));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(again));
        Assert.Equal(image.Bytes, await again.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task Oci_content_is_found_though_the_client_did_not_name_its_type()
    {
        var image = Hub.AddImage(Repository, "latest", Images.TestImage.Create(1, oci: true));
        using var response = await Mirror.GetAsync(ManifestPath("latest"), ("Accept", new Images.ImageTypes(Oci: false).Manifest));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(image.MediaType, response.Content.Headers.ContentType?.ToString());
    }

    [Theory]
    [InlineData("\"{0}\"")]
    [InlineData("{0}")]
    public async Task If_None_Match_is_304(string format)
    {
        var image = Hub.AddImage(Repository, "latest");
        var etag = format.Replace("{0}", image.Digest.ToString(), StringComparison.Ordinal);
        using (await Mirror.GetAsync(ManifestPath("latest")))
        {
        }
        using var response = await Mirror.GetAsync(ManifestPath("latest"), ("If-None-Match", etag));
        Assert.Equal(HttpStatusCode.NotModified, response.StatusCode);
    }

    [Fact]
    public async Task A_manifest_whose_bytes_are_not_its_digest_is_not_served()
    {
        var image = Hub.AddImage(Repository, "latest");
        var other = Digest.Of("another"u8);
        // Upstream finds these bytes under a digest that is not theirs.
        Hub.MoveTag(Repository, other.ToString(), image.Digest);
        using var response = await Mirror.GetAsync(ManifestPath(other));
        Assert.NotEqual(HttpStatusCode.OK, response.StatusCode);
        Assert.False(IsStored(other));
    }

    [Fact]
    public async Task Tags_are_upstreams_and_ours_when_upstream_cannot_be_had()
    {
        Hub.AddImage(Repository, "1.0");
        Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
        {
        }
        Assert.Equal(["1.0", "latest"], await TagsAsync());
        await Hub.Registry.TakeDownAsync();
        Assert.Equal(["latest"], await TagsAsync());
    }

    private async Task<IEnumerable<string?>> TagsAsync()
    {
        using var response = await Mirror.GetAsync($"{Repository}/tags/list");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var list = await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
        return [.. list.GetProperty("tags").EnumerateArray().Select(t => t.GetString())];
    }
}

/// <summary>A tag whose time is over is looked at again, by HEAD, and never mixed up.</summary>
public sealed class LapsedTagTests : MirrorOfHub
{
    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "0" };

    [Fact]
    public async Task An_unchanged_tag_costs_one_HEAD()
    {
        var image = Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.Log.Clear();
        var pulls = Hub.Pulls;
        using var again = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(CacheAnswer.Revalidated, CacheAnswer.Of(again));
        Assert.Equal(image.Bytes, await again.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(1, Hub.Log.Count(Asked.Manifest));
        Assert.Equal(pulls, Hub.Pulls);
    }

    [Fact]
    public async Task A_changed_tag_is_fetched_by_the_digest_just_learnt()
    {
        Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.Log.Clear();
        var changed = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 10));
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(changed.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(
            [$"HEAD /v2/{ManifestPath("latest")}", $"GET /v2/{ManifestPath(changed.Digest)}"],
            Hub.Log.Requests.Where(r => r.Asked == Asked.Manifest).Select(r => $"{r.Method} {r.Path}"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_tag_that_moves_while_it_is_asked_for_never_mixes_digest_and_body(bool known)
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 10));
        if (known)
        {
            using var first = await Mirror.GetAsync(ManifestPath("latest"));
            Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 10));
        }
        Hub.Script(
            r => r.Asked == Asked.Manifest && r.Method == "GET",
            Answer.After(() => Hub.AddImage(Repository, "latest", HubBlob.Seeded(3, 10))), times: 1);

        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(response.Headers.GetValues("Docker-Content-Digest").Single(), (await DigestOfAsync(response)).ToString());
    }

    [Theory]
    [InlineData("down")]
    [InlineData("reset")]
    [InlineData("503")]
    [InlineData("429")]
    public async Task What_upstream_cannot_confirm_is_served_as_it_was_with_a_warning(string trouble)
    {
        var image = Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
        {
        }
        await TroubleAsync(trouble);
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        Assert.Equal(CacheAnswer.Stale, CacheAnswer.Of(response));
        Assert.NotEmpty(response.Headers.Warning);
    }

    [Fact]
    public async Task A_tag_deleted_upstream_is_gone_here_too()
    {
        Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
            Hub.DeleteTag(Repository, "latest");
        using var response = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.NotFound, response);
    }

    private async Task TroubleAsync(string trouble)
    {
        if (trouble == "down")
            await Hub.Registry.TakeDownAsync();
        else
            Hub.Script(_ => true, trouble switch
            {
                "reset" => Answer.Reset,
                "429" => Answer.TooManyRequests("7"),
                _ => Answer.Status(503, "UNAVAILABLE"),
            });
    }
}
