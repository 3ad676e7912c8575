using System.Net;
using Mirror.Storage;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Mounts (OCI distribution-spec 1.1.1, "Mounting a blob from another repository", end point 11).</summary>
public sealed class MountTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    [Theory]
    [InlineData("sha256", true)]
    [InlineData("sha256", false)]
    [InlineData("sha512", true)]
    public async Task A_blob_of_another_repository_is_mounted(string algorithm, bool named)
    {
        var (source, target) = (registry.NewRepository(), registry.NewRepository());
        var bytes = UploadTests.Bytes(1234);
        var digest = await source.PushAsync(bytes, algorithm);
        Assert.Equal(HttpStatusCode.NotFound, await target.StatusOfAsync("HEAD", $"blobs/{digest}"));

        using var mounted = await target.SendAsync("POST", $"blobs/uploads/?mount={digest}{(named ? $"&from={source.Name}" : "")}");
        Assert.Equal((HttpStatusCode.Created, digest.ToString()), (mounted.StatusCode, Header(mounted, "Docker-Content-Digest")));
        Assert.EndsWith($"/v2/{target.Name}/blobs/{digest}", Location(mounted), StringComparison.Ordinal);
        Assert.Equal(bytes, await target.BytesAsync($"blobs/{digest}"));
    }

    [Fact]
    public async Task A_mount_that_is_not_possible_begins_an_upload()
    {
        var (source, other, target) = (registry.NewRepository(), registry.NewRepository(), registry.NewRepository());
        var digest = await source.PushAsync(UploadTests.Bytes(77));
        var unknown = Digest.Of("nowhere"u8);
        foreach (var query in new[]
        {
            $"?mount={unknown}&from={source.Name}", $"?mount={unknown}",
            $"?mount={digest}&from={other.Name}", $"?mount={digest}&from=no/such",
            // No name, and digests that no registry of this kind has.
            $"?mount={digest}&from=localhost:5000/{source.Name}", $"?mount={digest}&from=Acme/App",
            $"?mount=sha384:{new string('a', 96)}&from={source.Name}", "?mount=tarsum.v1%2Bsha256:abc",
        })
        {
            using var response = await target.SendAsync("POST", $"blobs/uploads/{query}");
            Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
            Assert.Equal(HttpStatusCode.NoContent, await target.StatusOfAsync("DELETE", Location(response)));
        }
    }

    [Fact]
    public async Task A_blob_that_was_deleted_everywhere_is_not_mounted()
    {
        var (source, target) = (registry.NewRepository(), registry.NewRepository());
        var digest = await source.PushAsync("deleted everywhere"u8.ToArray());
        Assert.Equal(HttpStatusCode.Accepted, await source.StatusOfAsync("DELETE", $"blobs/{digest}"));
        using var response = await target.SendAsync("POST", $"blobs/uploads/?mount={digest}");
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
    }
}
