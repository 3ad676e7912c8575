using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>The section <c>validation</c> of the configuration.</summary>
public sealed class ValidationTests
{
    [Theory]
    [InlineData("https://layers.example/a", true)]
    [InlineData("https://layers.example/secret", false)]
    [InlineData("https://elsewhere.example/a", false)]
    public async Task The_URL_of_a_layer_must_be_allowed(string url, bool taken)
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = """
                validation:
                  manifests:
                    urls: {allow: ["^https://layers\\.example/"], deny: [secret]}
                """,
        });
        var repository = new PushedRepository(mirror, "a/b");
        var config = await repository.PushAsync([1]);
        var bytes = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{OciManifest}}","config":{"mediaType":"a/b","digest":"{{config}}","size":1},"""
            + $$""" "layers":[{"mediaType":"a/b","digest":"{{Digest.Of("far"u8)}}","size":3,"urls":["{{url}}"]}]}""");
        using var put = await repository.SendAsync("PUT", "manifests/t", bytes, OciManifest);
        if (taken)
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        else
            await AssertErrorAsync(put, 400, "MANIFEST_INVALID");
    }

    [Theory]
    [InlineData("all", "arm64", false)]
    [InlineData("list", "amd64", false)]
    [InlineData("list", "arm64", true)]
    [InlineData("none", "amd64", true)]
    public async Task An_index_needs_the_children_that_the_configuration_names(string platforms, string missing, bool taken)
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $$"""
                validation:
                  manifests:
                    indexes:
                      platforms: {{platforms}}
                      platformlist: [{architecture: amd64, os: linux}]
                """,
        });
        var repository = new PushedRepository(mirror, "a/b");
        var bytes = Encoding.UTF8.GetBytes(
            $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{"mediaType":"{{OciManifest}}","""
            + $$""" "digest":"{{Digest.Of("no"u8)}}","size":1,"platform":{"os":"linux","architecture":"{{missing}}"} }]}""");
        using var put = await repository.SendAsync("PUT", "manifests/t", bytes, MediaTypes.OciIndex);
        if (taken)
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        else
            await AssertErrorAsync(put, 404, "MANIFEST_BLOB_UNKNOWN");
    }
}
