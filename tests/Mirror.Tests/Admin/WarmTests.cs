using System.Text.Json;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary><c>warm</c>: images are fetched ahead, and a list goes on where it stopped.</summary>
public sealed class WarmTests : MirrorOfHub
{
    private static readonly HubBlob Base = HubBlob.Seeded(1, 300_000);
    private static readonly HubBlob One = HubBlob.Seeded(2, 20_000);
    private static readonly HubBlob Two = HubBlob.Seeded(3, 7_000);

    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, TagsCacheTtl = "10m" };

    [Fact]
    public async Task Images_are_stored_before_a_client_asks_and_nothing_is_fetched_twice()
    {
        var (one, two) = (Hub.AddImage(Repository, "1", Base, One), Hub.AddImage("library/redis", "latest", Base, Two));

        var (code, output) = await Mirror.VerbAsync("warm", "library/nginx:1", "library/redis");
        Assert.Equal(0, code);
        Assert.Contains("2 of 2 images are stored", output);
        Assert.Equal(Base.Size, Hub.Log.BodyBytes(Base.Digest));
        foreach (var (repository, image) in new[] { (Repository, one), ("library/redis", two) })
            foreach (var layer in image.Layers.Append(image.Config))
                await Mirror.UntilStoredAsync($"{repository}/blobs/{layer.Digest}");

        Hub.Log.Clear();
        await Mirror.PullAsync(Repository, "1", [one.Config.Digest, Base.Digest, One.Digest]);
        (code, output) = await Mirror.VerbAsync("warm", "library/nginx:1", "library/redis");
        Assert.Equal(0, code);
        Assert.Contains("library/nginx:1: was stored already", output);
        Assert.Empty(Hub.Log.Requests);
        await Mirror.ImagesAsync(list => list.Length == 2 && list[0].GetProperty("pulls").GetInt64() == 1
            && list[1].GetProperty("pulls").GetInt64() == 0);
    }

    [Fact]
    public async Task Of_an_index_the_chosen_platforms_are_fetched()
    {
        var (amd, arm) = (Hub.AddImage(Repository, "amd64", Base), Hub.AddImage(Repository, "arm64", One));
        Hub.AddIndex(Repository, "both", (amd, "amd64"), (arm, "arm64"));
        using var folder = new TempFolder();
        var list = folder.Write("list", "# ours\nlibrary/nginx:both # all of it\n\n");

        var (code, _) = await Mirror.VerbAsync("warm", "-f", list, "--platform", "linux/arm64");
        Assert.Equal(0, code);
        Assert.Equal(0, Hub.Log.BodyBytes(Base.Digest));
        Assert.Equal(One.Size, Hub.Log.BodyBytes(One.Digest));
        (code, _) = await Mirror.VerbAsync("warm", "-f", list);
        Assert.Equal(0, code);
        Assert.Equal(Base.Size, Hub.Log.BodyBytes(Base.Digest));
        (code, var output) = await Mirror.VerbAsync("warm", "-f", list, "--platform", "linux/s390x");
        Assert.Equal(1, code);
        Assert.Contains("it has no image for linux/s390x", output);
        (code, output) = await Mirror.VerbAsync("warm", "library/nginx:amd64", "--platform", "linux/s390x");
        Assert.Equal(1, code);
        Assert.Contains("it has no image for linux/s390x, but only for linux/amd64", output);
        Assert.Equal(2, (await Mirror.VerbAsync("warm", "library/nginx:both", "--platform", "foo")).Code);
        folder.Write("list", "library/nginx:both\n\nlibrary/Nginx:1\n");
        (code, output) = await Mirror.VerbAsync("warm", "-f", list);
        Assert.Equal(2, code);
        Assert.Contains($"{list}, line 3: 'library/Nginx' is not the name of a repository", output);
    }

    [Fact]
    public async Task The_config_of_an_image_for_one_platform_counts_once()
    {
        var image = Hub.AddImage(Repository, "one", One);
        using var answer = await Mirror.AskAdminAsync(
            HttpMethod.Post, "warm", new { images = new[] { "library/nginx:one" }, platforms = new[] { "linux/amd64" } });
        var last = JsonDocument.Parse((await answer.Content.ReadAsStringAsync(Cancel)).TrimEnd().Split('\n')[^1]).RootElement;

        Assert.Equal("Done", last.GetProperty("state").GetString());
        Assert.Equal(One.Size + image.Config.Size, last.GetProperty("total").GetInt64());
        Assert.Equal(One.Size + image.Config.Size, last.GetProperty("done").GetInt64());
    }

    [Fact]
    public async Task The_last_pulls_of_the_rate_limit_are_kept_for_clients()
    {
        // The last five pulls are for clients.
        Hub.AddImage(Repository, "first", One);
        for (var i = 0; i < 4; i++)
            Hub.AddImage(Repository, $"t{i}", HubBlob.Seeded(10 + i, 1000));
        Hub.PullLimit = 7;

        var (code, output) = await Mirror.VerbAsync(["warm", "library/nginx:first", .. Names()]);
        Assert.Equal(6, code);
        Assert.Contains("are kept for clients", output);
        Assert.True(Hub.Pulls < 7, $"{Hub.Pulls} pulls");

        Hub.PullLimit = 100;
        await Mirror.PullAsync(Repository, "t3");
        (code, output) = await Mirror.VerbAsync(["warm", "library/nginx:first", .. Names()]);
        Assert.Equal(0, code);
        Assert.Contains("library/nginx:first: was stored already", output);
        Assert.Equal(5, Hub.Pulls);

        static IEnumerable<string> Names() => Enumerable.Range(0, 4).Select(i => $"library/nginx:t{i}");
    }

    [Fact]
    public async Task An_image_that_the_limit_leaves_no_room_for_is_not_called_stored()
    {
        Hub.AddImage(Repository, "1", HubBlob.Seeded(4, 2 << 20));
        await using var small = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, More = "  max_size: 1MiB\n" });

        var (code, output) = await small.VerbAsync("warm", "library/nginx:1");

        Assert.Equal(1, code);
        Assert.Contains("could not be stored: proxy.max_size or the disk has no room for it", output);
    }

    [Fact]
    public async Task What_cannot_be_fetched_is_named_and_the_rest_goes_on()
    {
        Hub.AddImage(Repository, "1", One);

        var (code, output) = await Mirror.VerbAsync("warm", "library/nginx:gone", "local/app:1", "library/nginx:1");
        Assert.Equal(1, code);
        Assert.Contains("library/nginx:gone: failed: upstream does not have it", output);
        Assert.Contains("local/app:1: failed: local/app is not mirrored", output);
        Assert.Contains("1 of 3 images are stored", output);

        using var answer = await Mirror.AskAdminAsync(HttpMethod.Post, "warm", new { images = new[] { "library/nginx:1" } });
        var lines = (await answer.Content.ReadAsStringAsync(Cancel)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        using var last = JsonDocument.Parse(lines[^1]);
        Assert.Equal("Present", last.RootElement.GetProperty("state").GetString());
    }
}
