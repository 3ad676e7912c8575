using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Within <c>tags_cache_ttl</c> a tag is served without a request to upstream.</summary>
public sealed class FreshTagTests : MirrorOfHub
{
    [Fact]
    public async Task A_tag_within_its_TTL_sends_no_request_upstream()
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
    public async Task A_cold_tag_costs_one_pull_for_all_clients()
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
    public async Task A_manifest_has_its_type_digest_etag_length_and_original_bytes()
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
    public async Task HEAD_tells_the_length_of_the_bytes_also_if_the_HEAD_at_upstream_tells_that_of_a_compressed_body()
    {
        var image = Hub.AddImage(Repository, "latest");
        Hub.Script(r => r.Asked == Asked.Manifest && r.Method == "HEAD", Answer.By(context =>
        {
            var response = context.Response;
            (response.ContentType, response.ContentLength) = (image.MediaType, 40);
            response.Headers["Docker-Content-Digest"] = image.Digest.ToString();
            response.Headers.ContentEncoding = "gzip";
            return Task.CompletedTask;
        }));
        using var head = await Mirror.HeadAsync(ManifestPath("latest"));
        Assert.Equal((HttpStatusCode.OK, (long?)image.Bytes.Length), (head.StatusCode, head.Content.Headers.ContentLength));
    }

    [Fact]
    public async Task HEAD_of_a_cold_tag_costs_no_pull()
    {
        var image = Hub.AddImage(Repository, "latest");
        using var response = await Mirror.HeadAsync(ManifestPath("latest"));
        Assert.Equal(image.Digest.ToString(), response.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal(image.Bytes.Length, response.Content.Headers.ContentLength);
        Assert.Equal(0, Hub.Pulls);
    }

    [Fact]
    public async Task A_stored_manifest_by_digest_sends_no_request_upstream()
    {
        var image = Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath(image.Digest)))
            await Hub.Registry.TakeDownAsync();
        using var again = await Mirror.GetAsync(ManifestPath(image.Digest));
        Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(again));
        Assert.Equal(image.Bytes, await again.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task The_length_of_a_stored_manifest_is_its_own_whatever_upstreams_HEAD_said()
    {
        var image = Hub.AddImage(Repository, "latest");
        Hub.Script(r => r is { Asked: Asked.Manifest, Method: "HEAD" }, Answer.By(context =>
        {
            context.Response.ContentType = image.MediaType;
            context.Response.ContentLength = 321;
            context.Response.Headers["Docker-Content-Digest"] = image.Digest.ToString();
            return Task.CompletedTask;
        }));
        using var get = await Mirror.GetAsync(ManifestPath("latest"));
        var length = (await get.Content.ReadAsByteArrayAsync(Cancel)).Length;
        foreach (var path in new[] { ManifestPath("latest"), ManifestPath(image.Digest) })
            using (var head = await Mirror.HeadAsync(path))
                Assert.Equal((path, (long?)length), (path, head.Content.Headers.ContentLength));
    }

    [Fact]
    public async Task An_OCI_manifest_is_served_if_Accept_lacks_its_type()
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
    public async Task A_manifest_with_a_wrong_digest_is_not_served()
    {
        var image = Hub.AddImage(Repository, "latest");
        var other = Digest.Of("another"u8);
        // Upstream serves these bytes under another digest.
        Hub.MoveTag(Repository, other.ToString(), image.Digest);
        using var response = await Mirror.GetAsync(ManifestPath(other));
        Assert.NotEqual(HttpStatusCode.OK, response.StatusCode);
        Assert.False(IsStored(other));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Tags_are_listed_from_upstream_or_else_as_last_listed_or_else_from_the_store(bool wereListed)
    {
        Hub.AddImage(Repository, "1.0");
        Hub.AddImage(Repository, "latest");
        using (await Mirror.GetAsync(ManifestPath("latest")))
        {
        }
        string[] listed = ["1.0", "latest"], stored = ["latest"];
        if (wereListed)
            Assert.Equal(listed, await TagsAsync());
        await Hub.Registry.TakeDownAsync();
        Assert.Equal(wereListed ? listed : stored, await TagsAsync());
    }

    private async Task<IEnumerable<string?>> TagsAsync()
    {
        using var response = await Mirror.GetAsync($"{Repository}/tags/list");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var list = await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
        return [.. list.GetProperty("tags").EnumerateArray().Select(t => t.GetString())];
    }
}

/// <summary>A tag whose TTL is over is checked by HEAD, and its digest and body always agree.</summary>
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
    public async Task A_moved_tag_is_fetched_by_its_new_digest()
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
    public async Task A_tag_that_moves_during_a_request_never_mixes_digest_and_body(bool known)
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
    public async Task A_tag_that_cannot_be_checked_is_served_stale_with_a_warning(string trouble)
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
    public async Task A_tag_deleted_upstream_is_404()
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
