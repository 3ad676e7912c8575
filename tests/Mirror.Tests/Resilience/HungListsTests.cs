using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Lists while upstream takes connections and answers nothing: clients get what is known after <c>proxy.stale_after</c>.</summary>
public sealed class HungListsTests : MirrorOfHub
{
    private const string TagList = $"{Repository}/tags/list";

    private static readonly HubBlob Layer = HubBlob.Seeded(1, 1000);

    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, TagsCacheTtl = "0", More = "  stale_after: 500ms\n" };

    [Fact]
    public async Task The_last_list_of_tags_is_served_stale()
    {
        Hub.AddImage(Repository, "1", Layer);
        Hub.AddImage(Repository, "2", Layer);
        Assert.Equal(["1", "2"], (await TagsAsync(TagList)).Tags);

        using var _ = Hub.Script(r => r.Origin == "registry", Answer.HeldBy(new Gate()));
        Assert.Equal((true, "1 2"), await StaleTagsAsync(TagList));
        Assert.Equal((true, "1"), await StaleTagsAsync($"{TagList}?n=1"));
        Assert.Equal((true, "2"), await StaleTagsAsync($"{TagList}?n=1&last=1"));
    }

    [Fact]
    public async Task After_a_restart_stored_tags_and_no_referrers_are_served_stale()
    {
        var image = Hub.AddImage(Repository, "1", Layer);
        using (var pull = await Mirror.GetAsync(ManifestPath("1")))
            Assert.Equal(HttpStatusCode.OK, pull.StatusCode);
        await Mirror.StopAsync();
        await Mirror.StartAgainAsync();

        using var _ = Hub.Script(r => r.Origin == "registry", Answer.HeldBy(new Gate()));
        Assert.Equal((true, "1"), await StaleTagsAsync(TagList));
        using var referrers = await Mirror.GetAsync($"{Repository}/referrers/{image.Digest}");
        Assert.Equal((HttpStatusCode.OK, CacheAnswer.Stale), (referrers.StatusCode, CacheAnswer.Of(referrers)));
    }

    // Nothing else can be served: this list is waited for.
    [Fact]
    public async Task A_list_of_tags_that_comes_late_is_served_if_nothing_is_stored()
    {
        Hub.AddImage(Repository, "1", Layer);
        using var _ = Hub.Script(Asked.Tags, Slowly("""{"tags":["1"]}"""));
        var (tags, isStale) = await TagsAsync(TagList);
        Assert.Equal(("1", false), (string.Join(' ', tags), isStale));
    }

    // A part of the list is stored. All pages together take longer than stale_after, and no page does.
    [Fact]
    public async Task A_list_whose_pages_come_is_waited_for()
    {
        Hub.AddImage(Repository, "1", Layer);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, TagsCacheTtl = "0", More = "  stale_after: 3s\n" });
        using (var pull = await mirror.GetAsync(ManifestPath("1")))
            Assert.Equal(HttpStatusCode.OK, pull.StatusCode);
        using var pages = Hub.Script(Asked.Tags, Answer.By(async context =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), context.RequestAborted);
            var page = context.Request.Query["page"] is [{ } number] ? number[0] - '0' : 1;
            if (page < 5)
                context.Response.Headers.Link = $"<?page={page + 1}>; rel=next";
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync($$"""{"tags":["{{page}}"]}""", context.RequestAborted);
        }));
        using var response = await mirror.GetAsync(TagList);
        Assert.Equal("1 2 3 4 5", string.Join(' ', Tags(await response.Content.ReadAsByteArrayAsync(Cancel))));
    }

    private static Answer Slowly(string json) => Answer.By(async context =>
    {
        await Task.Delay(TimeSpan.FromSeconds(2), context.RequestAborted);
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(json, context.RequestAborted);
    });

    private async Task<(bool IsStale, string Tags)> StaleTagsAsync(string path)
    {
        var (tags, isStale) = await TagsAsync(path);
        return (isStale, string.Join(' ', tags));
    }

    private async Task<(string[] Tags, bool IsStale)> TagsAsync(string path)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        using var response = await Mirror.GetAsync(path).WaitAsync(limit.Token);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (Tags(await response.Content.ReadAsByteArrayAsync(Cancel)), CacheAnswer.Of(response) == CacheAnswer.Stale);
    }

    private static string[] Tags(byte[] body)
    {
        using var json = JsonDocument.Parse(body);
        return [.. json.RootElement.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()!)];
    }
}
