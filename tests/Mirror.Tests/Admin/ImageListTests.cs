using System.Net;
using System.Text;
using System.Text.Json;
using Mirror.Admin;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary><c>images</c> and <c>usage</c>: the unit is the image, and each layer counts once.</summary>
public sealed class ImageListTests : MirrorOfHub
{
    private static readonly HubBlob Base = HubBlob.Seeded(1, 300_000);
    private static readonly HubBlob One = HubBlob.Seeded(2, 20_000);
    private static readonly HubBlob Two = HubBlob.Seeded(3, 7_000);

    [Fact]
    public async Task Images_are_listed_with_what_they_share()
    {
        var one = Hub.AddImage(Repository, "1", Base, One);
        var two = Hub.AddImage("library/redis", "2", Base, Two);
        await Mirror.PullAsync(Repository, "1", [one.Config.Digest, Base.Digest, One.Digest]);
        await Mirror.PullAsync(Repository, "1");
        await Mirror.PullAsync("library/redis", "2", [two.Config.Digest, Base.Digest, Two.Digest]);
        await new PushedRepository(Mirror, "local/app").PushManifestAsync("v1");

        // What is not written within the time of an answer is in a later one.
        var images = await Mirror.ImagesAsync(list => list.Length == 3 && list[0].GetProperty("whole").GetBoolean()
            && list[1].GetProperty("whole").GetBoolean() && list.Sum(image => image.GetProperty("pulls").GetInt64()) >= 3);
        Assert.Equal(["library/nginx:1", "library/redis:2", "local/app:v1"], images.Select(Name));
        Assert.Equal(["mirrored", "mirrored", "hosted"], images.Select(image => image.GetProperty("kind").GetString()));
        Assert.Equal(["linux/amd64"], images[0].GetProperty("platforms").EnumerateArray().Select(text => text.GetString()));
        Assert.Equal(one.Digest.ToString(), images[0].GetProperty("digest").GetString());
        Assert.Equal(
            one.Bytes.Length + one.Config.Size + Base.Size + One.Size, images[0].GetProperty("size").GetInt64());
        Assert.Equal(Base.Size, images[0].GetProperty("shared").GetInt64());
        Assert.Equal(Base.Size, images[1].GetProperty("shared").GetInt64());
        Assert.Equal([2L, 1L, 0L], images.Select(image => image.GetProperty("pulls").GetInt64()));
        Assert.Equal(JsonValueKind.String, images[0].GetProperty("lastUsed").ValueKind);
        Assert.Equal(JsonValueKind.Null, images[2].GetProperty("lastUsed").ValueKind);

        // A tag that moves leaves what it named before; the address of a client is known for its pulls.
        await new PushedRepository(Mirror, "local/app").PushManifestAsync("v1", "moved");
        var before = images[2].GetProperty("digest").GetString();
        images = await Mirror.ImagesAsync(list => list.Length == 4 && list[3].GetProperty("digest").GetString() != before);
        Assert.Equal($"local/app@{before}", Name(images[2]));
        var moved = (await Mirror.AdminAsync("images/history?image=local/app:v1")).GetProperty("tagged").EnumerateArray().ToArray();
        Assert.Equal(2, moved.Length);
        Assert.Equal(before, moved[1].GetProperty("digest").GetString());
        Assert.True(moved[1].GetProperty("since").GetDateTimeOffset() <= moved[0].GetProperty("since").GetDateTimeOffset());
        var pulled = await Mirror.AdminAsync("images/history?image=library/nginx:1");
        var named = Assert.Single(pulled.GetProperty("tagged").EnumerateArray());
        Assert.Equal(one.Digest.ToString(), named.GetProperty("digest").GetString());
        var puller = Assert.Single(pulled.GetProperty("pullers").EnumerateArray());
        Assert.Equal("127.0.0.1", puller.GetProperty("client").GetString());
        Assert.Equal(images[0].GetProperty("lastUsed").GetDateTimeOffset(), puller.GetProperty("last").GetDateTimeOffset());

        var usage = await Mirror.AdminAsync("usage");
        Assert.Equal(4, usage.GetProperty("images").GetInt64());
        Assert.Equal(Base.Size, usage.GetProperty("shared").GetInt64());
        Assert.Equal(
            images.Sum(image => image.GetProperty("size").GetInt64()) - Base.Size, usage.GetProperty("size").GetInt64());
    }

    [Fact]
    public async Task Manifests_that_lie_about_lengths_change_neither_the_list_nor_the_sums()
    {
        var pushed = new PushedRepository(Mirror, "local/app");
        for (var i = 0; i < 3; i++)
        {
            Digest[] layers = [await pushed.PushAsync([1, 2, (byte)i]), await pushed.PushAsync([3, 4, (byte)i])];
            var named = string.Join(',', layers.Select(layer =>
                $$"""{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{{layer}}","size":{{long.MaxValue}} }"""));
            var config = await pushed.PushAsync("{}"u8.ToArray());
            var manifest = Encoding.UTF8.GetBytes($$"""
                {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","layers":[{{named}}],
                 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{{config}}","size":2} }
                """);
            using var response = await pushed.SendAsync("PUT", $"manifests/{i}", manifest, MediaTypes.OciManifest);
            Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        }
        var images = await Mirror.ImagesAsync(list => list.Length == 3);
        Assert.All(images, image => Assert.InRange(image.GetProperty("size").GetInt64(), 0, 2000));
        Assert.InRange((await Mirror.AdminAsync("usage")).GetProperty("size").GetInt64(), 0, 6000);
    }

    [Fact]
    public void Old_pulls_are_forgotten_only_of_tags_that_are_gone_and_of_repositories_without_an_image()
    {
        using var folder = new TempFolder();
        using var index = new ImageIndex(folder["images.db"]);
        var (now, stored, other) = (DateTimeOffset.UtcNow, RepositoryName.Parse("a/stored"), RepositoryName.Parse("a/gone"));
        index.Put(
            [new StoredImage(stored, Reference.Parse("v1"), Digest.Of([1]), [], new Dictionary<Digest, long>(), IsWhole: true)],
            index.BeginReading());
        // Of an image for several platforms, clients may pull the manifest of their own.
        Digest platform = Digest.Of([2]), gone = Digest.Of([3]);
        index.Add(
        [
            (stored, Reference.Parse("v1"), 1, now.AddDays(-40)), (stored, Reference.Parse("former"), 1, now.AddDays(-40)),
            (stored, platform, 1, now.AddDays(-40)), (other, gone, 1, now.AddDays(-40)),
            (other, Reference.Parse("v2"), 1, now.AddDays(-20)),
        ]);
        index.ForgetHistory(now);
        Assert.Equal(["v1", "v2"], index.MostPulled(10).Select(pulled => pulled.Tag).Order(StringComparer.Ordinal));
        List<Digest> known = [];
        index.ReadPulls((_, digest, _) => known.Add(digest));
        Assert.Contains(platform, known);
        Assert.DoesNotContain(gone, known);
    }

    // In a bucket the lengths are what manifests claim.
    [Fact]
    public void The_sum_of_lengths_may_be_more_than_a_number_of_64_bits()
    {
        using var folder = new TempFolder();
        using var index = new ImageIndex(folder["images.db"]);
        index.Put(
            [
                .. Enumerable.Range(0, 3).Select(i => new StoredImage(
                    RepositoryName.Parse("local/app"), Reference.Parse($"{i}"), Digest.Of([(byte)i]), [],
                    new Dictionary<Digest, long> { [Digest.Of([1, (byte)i])] = long.MaxValue, [Digest.Of([2, (byte)i])] = long.MaxValue },
                    IsWhole: true)),
            ],
            index.BeginReading());
        Assert.Equal(long.MaxValue, index.Totals().Bytes);
        Assert.Equal(("local/app", long.MaxValue), index.BytesByName().Select(each => (each.Name.ToString(), each.Bytes)).Single());
    }

    [Fact]
    public async Task An_index_shows_the_platforms_that_were_pulled_and_an_image_without_a_layer_is_not_whole()
    {
        var (amd, arm) = (Hub.AddImage(Repository, "amd64", Base), Hub.AddImage(Repository, "arm64", One));
        Hub.AddIndex(Repository, "both", (amd, "amd64"), (arm, "arm64"));
        await Mirror.PullAsync(Repository, "both");
        await Mirror.PullAsync(Repository, arm.Digest.ToString(), [arm.Config.Digest]);

        var image = Assert.Single(await Mirror.ImagesAsync(
            list => list is [var only] && only.GetProperty("platforms").GetArrayLength() == 1));
        Assert.Equal("linux/arm64", image.GetProperty("platforms")[0].GetString());
        Assert.False(image.GetProperty("whole").GetBoolean());

        await Mirror.PullAsync(Repository, arm.Digest.ToString(), [One.Digest]);
        await Mirror.ImagesAsync(list => list[0].GetProperty("whole").GetBoolean());
    }

    [Fact]
    public async Task An_image_that_clients_pull_by_digest_only_is_listed_by_its_digest_until_a_tag_leads_to_it()
    {
        var (amd, arm) = (Hub.AddImage(Repository, "amd64", Base), Hub.AddImage(Repository, "arm64", One));
        var both = Hub.AddIndex(Repository, "both", (amd, "amd64"), (arm, "arm64"));
        await Mirror.PullAsync(Repository, both.Digest.ToString());
        await Mirror.PullAsync(Repository, arm.Digest.ToString(), [arm.Config.Digest, One.Digest]);
        // What refers to an image is listed with it.
        var pushed = new PushedRepository(Mirror, "local/app");
        var (subject, _) = await pushed.PushManifestAsync("1");
        var signature = PushedRepository.Manifest(await pushed.PushAsync("signature"u8.ToArray()), subject);
        using (var put = await pushed.SendAsync("PUT", $"manifests/{Digest.Of(signature)}", signature, PushedRepository.OciManifest))
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);

        var images = await Mirror.ImagesAsync(
            list => list is [var first, _] && first.GetProperty("pulls").GetInt64() == 1 && first.GetProperty("whole").GetBoolean());
        Assert.Equal([$"{Repository}@{both.Digest}", "local/app:1"], images.Select(Name));
        Assert.Equal("linux/arm64", Assert.Single(images[0].GetProperty("platforms").EnumerateArray()).GetString());
        Assert.Single(await Mirror.ImagesAsync(_ => true, $"?search={Uri.EscapeDataString($"nginx@{both.Digest}")}"));
        var page = await Mirror.AdminAsync($"images?n=1&last={Uri.EscapeDataString($"{Repository}@{both.Digest}")}");
        Assert.Equal("local/app:1", Name(Assert.Single(page.GetProperty("images").EnumerateArray())));
        Assert.Contains($"{Repository}@{both.Digest}", (await Mirror.VerbAsync("images")).Output);

        await Mirror.PullAsync(Repository, "both");
        images = await Mirror.ImagesAsync(list => list is [var first, _] && first.GetProperty("pulls").GetInt64() == 2);
        Assert.Equal($"{Repository}:both", Name(images[0]));
    }

    [Fact]
    public async Task A_list_has_pages_and_can_be_searched()
    {
        var repository = new PushedRepository(Mirror, "local/app");
        for (var i = 0; i < 7; i++)
            await repository.PushManifestAsync($"v_{i}", $"{i}");
        await new PushedRepository(Mirror, "local/other").PushManifestAsync("vx1");
        await Mirror.ImagesAsync(list => list.Length == 8);

        List<string> names = [];
        for (var path = "images?n=3"; path is not null;)
        {
            var page = await Mirror.AdminAsync(path);
            Assert.InRange(page.GetProperty("images").GetArrayLength(), 1, 3);
            names.AddRange(page.GetProperty("images").EnumerateArray().Select(Name));
            path = page.GetProperty("next").GetString()?["/mirror/v1/".Length..];
        }
        Assert.Equal([.. Enumerable.Range(0, 7).Select(i => $"local/app:v_{i}"), "local/other:vx1"], names);
        Assert.Equal(["local/app:v_1"], (await Mirror.ImagesAsync(_ => true, "?search=app:v_1")).Select(Name));
        Assert.Empty(await Mirror.ImagesAsync(_ => true, "?search=%25"));
    }

    [Fact]
    public async Task Pulls_are_known_after_a_restart_and_a_damaged_index_is_built_again()
    {
        var image = Hub.AddImage(Repository, "1", One);
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, One.Digest]);
        await Mirror.StopAsync();
        await Mirror.StartAgainAsync();
        await Mirror.ImagesAsync(list => list is [var only] && only.GetProperty("pulls").GetInt64() == 1);

        await Mirror.StopAsync();
        var index = Path.Combine(Mirror.Root, "mirror", "images.db");
        foreach (var log in new[] { $"{index}-wal", $"{index}-shm" })
            File.Delete(log);
        await File.WriteAllTextAsync(index, "no index", Cancel);
        await Mirror.StartAgainAsync();
        await Mirror.ImagesAsync(list => list is [var only] && only.GetProperty("whole").GetBoolean());
    }

    [Fact]
    public async Task The_verbs_ask_the_server_of_the_configuration()
    {
        var image = Hub.AddImage(Repository, "1", One);
        await Mirror.PullAsync(Repository, "1", [image.Config.Digest, One.Digest]);
        await Mirror.ImagesAsync(list => list.Length == 1 && list[0].GetProperty("whole").GetBoolean());

        var (code, output) = await Mirror.VerbAsync("images", "--json");
        Assert.Equal(0, code);
        using var json = JsonDocument.Parse(output);
        Assert.Equal("library/nginx:1", Name(json.RootElement));

        (code, output) = await Mirror.VerbAsync("images", "nginx");
        Assert.Equal(0, code);
        Assert.Contains("library/nginx:1 ", output);
        Assert.Contains("linux/amd64", output);
        (code, output) = await Mirror.VerbAsync("usage");
        Assert.Equal(0, code);
        Assert.Contains("1 in 1 repositories", output);
        (code, output) = await Mirror.VerbAsync("reload");
        Assert.Equal(0, code);
        (code, output) = await Mirror.VerbAsync("usage", "--user", "erin:wrong");
        Assert.Equal(5, code);
        Assert.StartsWith("error: ", output);

        await Mirror.StopAsync();
        (code, output) = await Mirror.VerbAsync("usage");
        Assert.Equal(1, code);
        Assert.Contains("cannot be reached", output);
    }

    private static string Name(JsonElement image) => image.GetProperty("name")
        + (image.GetProperty("tag").GetString() is { } tag ? $":{tag}" : $"@{image.GetProperty("digest")}");
}
