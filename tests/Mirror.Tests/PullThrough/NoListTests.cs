using System.Net;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Answers with status 200 that are JSON and no list: they are trouble of upstream, and do not replace the last list.</summary>
public sealed class NoListTests : IAsyncLifetime
{
    private const string Name = "acme/app";
    private const string TagList = $"{Name}/tags/list";

    private static readonly Digest Subject = Digest.Of("subject"u8);
    private static readonly string ReferrerList = $"{Name}/referrers/{Subject}";

    private readonly OrdinaryUpstream _upstream = new();
    private MirrorProcess _mirror = null!;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = _upstream.Url, TagsCacheTtl = "0" });
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        _upstream.Dispose();
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"name":"acme/app"}""")]
    [InlineData("""{"errors":[{"code":"UNKNOWN","message":"try again"}]}""")]
    [InlineData("""{"tags":[],"errors":[{"code":"UNKNOWN"}]}""")]
    public async Task An_object_that_is_no_list_of_tags_replaces_none(string body)
    {
        AnswerTags(body);
        using (var nothing = await _mirror.GetAsync(TagList))
            Assert.Equal(HttpStatusCode.ServiceUnavailable, nothing.StatusCode);

        AnswerTags("""{"name":"acme/app","tags":["1","2"]}""");
        using (await _mirror.GetAsync(TagList))
            AnswerTags(body);
        using var stale = await _mirror.GetAsync(TagList);
        Assert.Equal((CacheAnswer.Stale, 2), (CacheAnswer.Of(stale), await CountAsync(stale, "tags")));
    }

    // registry:2 sends null for a repository whose tags are all deleted. Clients in Go do not care for upper and lower case.
    [Theory]
    [InlineData("""{"name":"acme/app","tags":null}""", 0)]
    [InlineData("""{"tags":[],"errors":null}""", 0)]
    [InlineData("""{"Tags":["1"]}""", 1)]
    public async Task A_list_without_tags_is_a_list(string body, int count)
    {
        AnswerTags(body);
        using var list = await _mirror.GetAsync(TagList);
        Assert.Equal((CacheAnswer.Miss, count), (CacheAnswer.Of(list), await CountAsync(list, "tags")));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"schemaVersion":2}""")]
    [InlineData("""{"errors":[{"code":"UNKNOWN","message":"try again"}]}""")]
    public async Task An_object_that_is_no_list_of_referrers_replaces_none(string body)
    {
        var index = $$"""
            {"schemaVersion":2,"manifests":[{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of("signature"u8)}}","size":9}]}
            """;
        AnswerReferrers(index);
        using (await _mirror.GetAsync(ReferrerList))
            AnswerReferrers(body);
        foreach (var method in new[] { "GET", "HEAD" })
            _upstream.Answer(
                method, $"{Name}/manifests/sha256-{Subject.Hex}", 404, """{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"""u8.ToArray());
        using var stale = await _mirror.GetAsync(ReferrerList);
        Assert.Equal((CacheAnswer.Stale, 1), (CacheAnswer.Of(stale), await CountAsync(stale, "manifests")));
    }

    private void AnswerTags(string json) => _upstream.AnswerPages(TagList, _ => (200, json, []));

    private void AnswerReferrers(string json) => _upstream.AnswerPages(ReferrerList, _ => (200, json, []));

    private static async Task<int> CountAsync(HttpResponseMessage response, string list)
    {
        using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        return json.RootElement.GetProperty(list).GetArrayLength();
    }
}
