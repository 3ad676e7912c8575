using System.Net;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>
/// Manifests that clients read differently: readers in Go ignore the case of names, and of a name that occurs twice readers take the first,
/// the last, or both. They cannot be pushed. What comes from upstream is served as it is, and a collection keeps what any reader could see.
/// </summary>
public sealed class AmbiguousManifestTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private readonly PushedRepository _repository = registry.NewRepository();

    [Theory]
    [InlineData("\"Layers\":[]", "Layers")]
    [InlineData("\"layers\":[]", "layers")]
    [InlineData("\"layer\u017f\":[]", "layer\u017f")]
    [InlineData("\"Subject\":null", "Subject")]
    [InlineData("\"manifests\":[]", "manifests")]
    [InlineData("\"annotations\":{\"a\":\"1\",\"a\":\"2\"}", "a")]
    [InlineData("\"annotations\":{\"a\":\"\\ud800\"}", "a")]
    public async Task It_is_refused_by_the_name_of_the_key(string member, string key)
    {
        var config = await _repository.PushAsync("{}"u8.ToArray());
        var bytes = Manifest(config, subject: Digest.Of("subject"u8), more: member);
        using var put = await _repository.SendAsync("PUT", "manifests/t", bytes, OciManifest);
        await AssertErrorAsync(put, 400, "MANIFEST_INVALID");
        using var body = JsonDocument.Parse(await put.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var detail = body.RootElement.GetProperty("errors")[0].GetProperty("detail").GetString();
        Assert.Contains($"'{key}'", detail, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("GET", "manifests/t"));
    }

    [Fact]
    public async Task A_content_type_other_than_the_media_type_is_refused()
    {
        var bytes = Manifest(await _repository.PushAsync("{}"u8.ToArray()));
        using var put = await _repository.SendAsync("PUT", "manifests/t", bytes, MediaTypes.DockerManifest);
        await AssertErrorAsync(put, 400, "MANIFEST_INVALID");
    }

    [Theory]
    [InlineData("{\"mediaType\":\"TYPE\",\"Layers\":[{\"digest\":\"ONE\",\"size\":3}],\"layers\":[{\"digest\":\"TWO\",\"size\":3}]}")]
    [InlineData("{\"mediaType\":\"TYPE\",\"layers\":[{\"digest\":\"ONE\",\"Digest\":\"TWO\"}]}")]
    [InlineData("{\"\\ud800\":\"\\ud800\",\"mediaType\":\"TYPE\",\"layers\":[{\"digest\":\"ONE\"}],\"layers\":[{\"digest\":\"TWO\"}]}")]
    public async Task From_upstream_it_is_served_as_it_is_and_all_that_it_names_is_kept(string manifest)
    {
        using var upstream = new OrdinaryUpstream();
        await using var mirror = await MirrorProcess.StartAsync(upstream.Url);
        var blobs = new[] { "one"u8.ToArray(), "two"u8.ToArray() };
        manifest = manifest.Replace("ONE", Digest.Of(blobs[0]).ToString(), StringComparison.Ordinal)
            .Replace("TWO", Digest.Of(blobs[1]).ToString(), StringComparison.Ordinal)
            .Replace("TYPE", OciManifest, StringComparison.Ordinal);
        upstream.AddManifest("acme/app", "1", manifest, OciManifest);
        foreach (var blob in blobs)
            foreach (var method in new[] { "GET", "HEAD" })
                upstream.Answer(method, $"acme/app/blobs/{Digest.Of(blob)}", 200, blob);

        var repository = new PushedRepository(mirror, "acme/app");
        Assert.Equal(manifest, await repository.TextAsync("manifests/1"));
        foreach (var blob in blobs)
        {
            Assert.Equal(blob, await repository.BytesAsync($"blobs/{Digest.Of(blob)}"));
            await mirror.UntilStoredAsync($"acme/app/blobs/{Digest.Of(blob)}");
        }
        await mirror.CollectAsync();
        foreach (var blob in blobs)
            using (var kept = await mirror.GetAsync($"acme/app/blobs/{Digest.Of(blob)}"))
                Assert.Equal((HttpStatusCode.OK, CacheAnswer.Hit), (kept.StatusCode, CacheAnswer.Of(kept)));
    }
}
