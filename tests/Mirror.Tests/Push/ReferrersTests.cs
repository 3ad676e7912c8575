using System.Net;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>The manifests that refer to a subject (OCI distribution-spec 1.1.1, "Listing Referrers", end points 12a and 12b).</summary>
public sealed class ReferrersTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private static readonly Digest Subject = Digest.Of("a subject that need not exist"u8);

    private readonly PushedRepository _repository = registry.NewRepository();

    [Fact]
    public async Task A_subject_without_referrers_has_an_empty_index()
    {
        foreach (var subject in new[] { Subject, Digest.Of("x"u8, "sha512") })
        {
            using var response = await _repository.SendAsync("GET", $"referrers/{subject}");
            Assert.Equal((HttpStatusCode.OK, MediaTypes.OciIndex), (response.StatusCode, response.Content.Headers.ContentType!.ToString()));
            using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
            var root = json.RootElement;
            Assert.Equal(2, root.GetProperty("schemaVersion").GetInt32());
            Assert.Equal(MediaTypes.OciIndex, root.GetProperty("mediaType").GetString());
            Assert.Equal(0, root.GetProperty("manifests").GetArrayLength());
        }
    }

    [Fact]
    public async Task A_wrong_digest_is_400()
    {
        using var response = await _repository.SendAsync("GET", "referrers/sha256:abc");
        await AssertErrorAsync(response, 400, "DIGEST_INVALID");
    }

    [Fact]
    public async Task A_referrer_is_listed_with_its_type_size_and_annotations()
    {
        var config = await _repository.PushAsync([1]);
        var bytes = Manifest(config, Subject, """ "artifactType":"application/vnd.test.sbom","annotations":{"org.test":"+ü\u0041"} """);
        using var put = await _repository.SendAsync("PUT", $"manifests/{Digest.Of(bytes)}", bytes, OciManifest);
        Assert.Equal((HttpStatusCode.Created, Subject.ToString()), (put.StatusCode, Header(put, "OCI-Subject")));

        var only = Assert.Single(await ListAsync());
        Assert.Equal((OciManifest, Digest.Of(bytes).ToString(), bytes.Length, "application/vnd.test.sbom", "+üA"), (
            only.GetProperty("mediaType").GetString(), only.GetProperty("digest").GetString(), only.GetProperty("size").GetInt32(),
            only.GetProperty("artifactType").GetString(), only.GetProperty("annotations").GetProperty("org.test").GetString()));
    }

    [Fact]
    public async Task Without_an_artifact_type_the_type_of_the_config_is_listed()
    {
        await _repository.PushManifestAsync("a", subject: Subject);
        Assert.Equal("application/vnd.test.config", Assert.Single(await ListAsync()).GetProperty("artifactType").GetString());
    }

    [Fact]
    public async Task An_index_may_refer_to_a_subject()
    {
        var bytes = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[],"artifactType":"x/y","""
            + $$""" "subject":{"mediaType":"{{OciManifest}}","digest":"{{Subject}}","size":1} }""");
        using var put = await _repository.SendAsync("PUT", "manifests/i", bytes, MediaTypes.OciIndex);
        Assert.Equal(Subject.ToString(), Header(put, "OCI-Subject"));
        var only = Assert.Single(await ListAsync());
        Assert.Equal(MediaTypes.OciIndex, only.GetProperty("mediaType").GetString());
        Assert.Equal("x/y", only.GetProperty("artifactType").GetString());
    }

    [Fact]
    public async Task A_filter_is_applied_and_the_answer_says_so()
    {
        await _repository.PushManifestAsync("a", "a", Subject, """ "artifactType":"x/a" """);
        await _repository.PushManifestAsync("b", "b", Subject, """ "artifactType":"x/b" """);
        using var response = await _repository.SendAsync("GET", $"referrers/{Subject}?artifactType=x%2Fb");
        Assert.Equal("artifactType", Header(response, "OCI-Filters-Applied"));
        Assert.Equal("x/b", Assert.Single(await ListAsync("?artifactType=x%2Fb")).GetProperty("artifactType").GetString());
        Assert.Empty(await ListAsync("?artifactType=x%2Fc"));
        Assert.Equal(2, (await ListAsync()).Length);
    }

    // Some clients, such as rust-oci-client, do not escape it.
    [Theory]
    [InlineData("+")]
    [InlineData("%2B")]
    public async Task A_filter_has_a_plus_whether_it_is_escaped_or_not(string plus)
    {
        await _repository.PushManifestAsync("a", "a", Subject, """ "artifactType":"application/spdx+json" """);
        Assert.Single(await ListAsync($"?artifactType=application/spdx{plus}json"));
    }

    [Fact]
    public async Task Referrers_that_older_clients_put_under_a_tag_are_listed_as_well()
    {
        var (listed, _) = await _repository.PushManifestAsync("old", "old", more: """ "artifactType":"x/old" """);
        var (gone, _) = await _repository.PushManifestAsync("gone", "gone");
        var index = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":["""
            + $$"""{"mediaType":"{{OciManifest}}","digest":"{{listed}}","size":1},"""
            + $$"""{"mediaType":"{{OciManifest}}","digest":"{{gone}}","size":1}]}""");
        using var put = await _repository.SendAsync("PUT", $"manifests/sha256-{Subject.Hex}", index, MediaTypes.OciIndex);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        await _repository.PushManifestAsync("new", "new", Subject);
        Assert.Equal(HttpStatusCode.Accepted, await _repository.StatusOfAsync("DELETE", $"manifests/{gone}"));

        var all = await ListAsync();
        Assert.Equal(2, all.Length);
        var old = Assert.Single(all, entry => entry.GetProperty("digest").GetString() == listed.ToString());
        Assert.Equal("x/old", old.GetProperty("artifactType").GetString());
    }

    // As clients do that copy images by digest. The children are no referrers.
    [Fact]
    public async Task An_index_tagged_with_its_own_digest_is_no_list_of_referrers()
    {
        var (child, _) = await _repository.PushManifestAsync("child", "child");
        var index = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":["""
            + $$"""{"mediaType":"{{OciManifest}}","digest":"{{child}}","size":1}]}""");
        var digest = Digest.Of(index);
        using var put = await _repository.SendAsync("PUT", $"manifests/sha256-{digest.Hex}", index, MediaTypes.OciIndex);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        using var response = await _repository.SendAsync("GET", $"referrers/{digest}");
        using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, json.RootElement.GetProperty("manifests").GetArrayLength());
    }

    [Fact]
    public async Task A_deleted_manifest_is_no_longer_listed()
    {
        var (digest, _) = await _repository.PushManifestAsync("a", "a", Subject);
        Assert.Single(await ListAsync());
        Assert.Equal(HttpStatusCode.Accepted, await _repository.StatusOfAsync("DELETE", $"manifests/{digest}"));
        Assert.Empty(await ListAsync());
    }

    [Fact]
    public async Task A_list_that_is_too_large_for_one_index_comes_in_pages()
    {
        var filler = new string('x', 1_500_000);
        for (var i = 0; i < 4; i++)
            await _repository.PushManifestAsync($"t{i}", $"{i}", Subject, $$""" "annotations":{"a":"{{filler}}"} """);
        HashSet<string> seen = [];
        var (pages, path) = (0, $"referrers/{Subject}");
        while (path is not null)
        {
            using var response = await _repository.SendAsync("GET", path);
            using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
            foreach (var entry in json.RootElement.GetProperty("manifests").EnumerateArray())
                Assert.True(seen.Add(entry.GetProperty("digest").GetString()!));
            pages++;
            path = Header(response, "Link") is { } link ? new Uri(registry.Mirror.Url, link.Split('<', '>')[1]).ToString() : null;
        }
        Assert.Equal((4, 2), (seen.Count, pages));
    }

    private async Task<JsonElement[]> ListAsync(string query = "")
    {
        using var json = JsonDocument.Parse(await _repository.BytesAsync($"referrers/{Subject}{query}"));
        return [.. json.RootElement.GetProperty("manifests").EnumerateArray().Select(entry => entry.Clone())];
    }
}
