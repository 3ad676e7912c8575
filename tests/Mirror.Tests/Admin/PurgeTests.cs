using System.Net;
using System.Text.Json;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary><c>purge</c>: what came from upstream goes, what was pushed or is needed stays.</summary>
public sealed class PurgeTests : MirrorOfHub
{
    private static readonly HubBlob Base = HubBlob.Seeded(1, 30_000);
    private static readonly HubBlob One = HubBlob.Seeded(2, 20_000);
    private static readonly HubBlob Two = HubBlob.Seeded(3, 7_000);

    [Fact]
    public async Task A_dry_run_says_what_would_go_and_removes_nothing()
    {
        var image = Hub.AddImage(Repository, "1", Base, One);
        await PullAsync(Repository, "1", image);

        var answer = await PurgeAsync("library/nginx:1", dryRun: true);
        Assert.Equal(["1"], Texts(answer, "tags"));
        Assert.Equal([image.Digest.ToString()], Texts(answer, "manifests"));
        Assert.Equal(3, Texts(answer, "layers").Length);
        Assert.Equal(
            image.Bytes.Length + image.Config.Size + Base.Size + One.Size, answer.GetProperty("freed").GetInt64());
        Hub.Log.Clear();
        await Mirror.PullAsync(Repository, "1", [Base.Digest, One.Digest]);
        Assert.Empty(Hub.Log.Requests);
    }

    [Fact]
    public async Task An_image_goes_with_the_layers_that_no_other_image_needs()
    {
        var (one, two) = (Hub.AddImage(Repository, "1", Base, One), Hub.AddImage(Repository, "2", Base, Two));
        await PullAsync(Repository, "1", one);
        await PullAsync(Repository, "2", two);

        var answer = await PurgeAsync("library/nginx:1", dryRun: false);
        Assert.Equal(
            new[] { one.Config.Digest.ToString(), One.Digest.ToString() }.Order(StringComparer.Ordinal),
            Texts(answer, "layers").Order(StringComparer.Ordinal));
        Assert.Contains(Base.Digest.ToString(), Assert.Single(Texts(answer, "kept")));
        Assert.False(IsStored(One.Digest));
        Assert.False(IsStored(one.Digest));
        Assert.True(IsStored(Base.Digest));
        await Mirror.ImagesAsync(list => list is [var only] && only.GetProperty("tag").GetString() == "2"
            && only.GetProperty("whole").GetBoolean());

        Hub.Log.Clear();
        await Mirror.PullAsync(Repository, "2", [Base.Digest, Two.Digest]);
        Assert.Empty(Hub.Log.Requests);
        await PullAsync(Repository, "1", one);
        Assert.Equal(1, Hub.Log.Count(Asked.Manifest, "GET"));
    }

    [Fact]
    public async Task An_image_without_a_tag_goes_by_its_digest_and_one_that_a_tag_names_stays()
    {
        var (one, two) = (Hub.AddImage(Repository, "1", Base, One), Hub.AddImage(Repository, "2", Base, Two));
        await PullAsync(Repository, one.Digest.ToString(), one);
        await PullAsync(Repository, "2", two);

        var answer = await PurgeAsync($"{Repository}@{two.Digest}", dryRun: false);
        Assert.Empty(Texts(answer, "manifests"));
        Assert.Contains(two.Digest.ToString(), Texts(answer, "kept")[0]);
        answer = await PurgeAsync($"{Repository}@{one.Digest}", dryRun: false);
        Assert.Equal([one.Digest.ToString()], Texts(answer, "manifests"));
        Assert.Empty(Texts(answer, "tags"));
        Assert.False(IsStored(One.Digest));

        Hub.Log.Clear();
        await Mirror.PullAsync(Repository, "2", [Base.Digest, Two.Digest]);
        Assert.Empty(Hub.Log.Requests);
        using var again = await Mirror.AskAdminAsync(HttpMethod.Post, "purge", new { image = $"{Repository}@{one.Digest}" });
        await AssertErrorAsync(HttpStatusCode.NotFound, again);
    }

    [Fact]
    public async Task A_layer_that_another_repository_has_keeps_its_bytes()
    {
        var (one, two) = (Hub.AddImage(Repository, "1", Base), Hub.AddImage("library/redis", "2", Base, Two));
        await PullAsync(Repository, "1", one);
        await PullAsync("library/redis", "2", two);

        var answer = await PurgeAsync("library/nginx", dryRun: false);
        Assert.Equal(one.Bytes.Length + one.Config.Size, answer.GetProperty("freed").GetInt64());
        Assert.True(IsStored(Base.Digest));
        Hub.Log.Clear();
        await Mirror.PullAsync("library/redis", "2", [Base.Digest]);
        Assert.Empty(Hub.Log.Requests);
    }

    [Fact]
    public async Task What_was_pushed_is_never_purged()
    {
        var (digest, _) = await new PushedRepository(Mirror, "local/app").PushManifestAsync("1");

        using var refused = await Mirror.AskAdminAsync(HttpMethod.Post, "purge", new { image = "local/app:1" });
        await AssertErrorAsync(HttpStatusCode.Conflict, refused);
        Assert.Equal(1, (await Mirror.VerbAsync("purge", "local/app:1")).Code);
        foreach (var invalid in new[] { "local/app", "Local/APP:1", "local/app:-" })
            Assert.Equal(2, (await Mirror.VerbAsync("pin", invalid)).Code);
        using var unknown = await Mirror.AskAdminAsync(HttpMethod.Post, "purge", new { image = "library/nginx:unknown" });
        await AssertErrorAsync(HttpStatusCode.NotFound, unknown);
        using var nonsense = await Mirror.AskAdminAsync(HttpMethod.Post, "purge", new { other = 1 });
        await AssertErrorAsync(HttpStatusCode.BadRequest, nonsense);
        Assert.True(IsStored(digest));
    }

    [Fact]
    public async Task The_verb_shows_what_goes()
    {
        var image = Hub.AddImage(Repository, "1", One);
        await PullAsync(Repository, "1", image);

        var (code, output) = await Mirror.VerbAsync("purge", "--dry-run", "library/nginx:1");
        Assert.Equal(0, code);
        Assert.Contains("would remove 1 tags, 1 manifests and 2 layers", output);
        (code, output) = await Mirror.VerbAsync("purge", "library/nginx:1");
        Assert.Equal(0, code);
        Assert.Contains("removed 1 tags, 1 manifests and 2 layers; freed", output);
        (code, output) = await Mirror.VerbAsync("purge", "library/nginx:1");
        Assert.Equal(1, code);
        Assert.Contains("library/nginx:1 is not stored", output);
    }

    private Task PullAsync(string repository, string tag, HubImage image) =>
        Mirror.PullAsync(repository, tag, [image.Config.Digest, .. image.Layers.Select(layer => layer.Digest)]);

    private Task<JsonElement> PurgeAsync(string image, bool dryRun) => Mirror.PostAdminAsync("purge", new { image, dryRun });

    private static string[] Texts(JsonElement answer, string list) =>
        [.. answer.GetProperty(list).EnumerateArray().Select(text => text.GetString()!)];
}
