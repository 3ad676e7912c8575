using System.Net;
using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary><c>hosted.max_size</c> and <c>hosted.max_repository_size</c>.</summary>
public sealed class PushQuotaTests : IAsyncDisposable
{
    private const int Mega = 1 << 20;

    private MirrorProcess? _registry;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_push_past_a_limit_is_refused_and_nothing_is_removed()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Hosted = "[\"**\"], max_size: 5MiB, max_repository_size: 3MiB",
        });

        // 1. One repository.
        var first = Random(2 * Mega);
        Assert.Equal(HttpStatusCode.Created, await PushAsync("a/app", first));
        Assert.Equal(HttpStatusCode.Forbidden, await PushAsync("a/app", Random(2 * Mega)));
        using (var refused = await UploadAsync("a/app", Random(2 * Mega)))
            Assert.Contains(
                "\"code\":\"DENIED\"", await refused.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        // What it has costs nothing, and what fits is taken.
        Assert.Equal(HttpStatusCode.Created, await PushAsync("a/app", first));
        Assert.Equal(HttpStatusCode.Created, await PushAsync("a/app", Random(Mega / 2)));

        // 2. All together; a mount counts for its repository too.
        using (var mount = await _registry.SendAsync(
            HttpMethod.Post, $"b/app/blobs/uploads/?mount={Digest.Of(first)}&from=a/app"))
            Assert.Equal(HttpStatusCode.Created, mount.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, await PushAsync("c/app", Random(Mega)));

        // 3. After a restart the same counts; nothing has been removed.
        await _registry.StopAsync();
        await _registry.StartAgainAsync();
        await Until.TrueAsync(
            async () => await PushAsync("c/app", Random(Mega)) == HttpStatusCode.Forbidden, () => "It is not counted after a restart.");
        using (var kept = await _registry.HeadAsync($"a/app/blobs/{Digest.Of(first)}"))
            Assert.Equal(HttpStatusCode.OK, kept.StatusCode);

        // 4. What is deleted makes room.
        using (var deleted = await _registry.SendAsync(HttpMethod.Delete, $"b/app/blobs/{Digest.Of(first)}"))
            Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        await Until.TrueAsync(
            async () => await PushAsync("d/app", Random(Mega / 2)) == HttpStatusCode.Created, () => "A deletion makes no room.");
    }

    [Fact]
    public async Task What_is_refused_does_not_count()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { Hosted = "[\"**\"], max_size: 1MiB, max_repository_size: 1MiB" });
        var repository = new PushedRepository(_registry, "a/app");
        for (var i = 0; i < 4; i++)
        {
            var lacking = PushedRepository.Manifest(
                Digest.Of([(byte)i]), more: $"\"annotations\":{{\"much\":\"{new string((char)('a' + i), 400_000)}\"}}");
            using var refused = await repository.SendAsync("PUT", "manifests/1", lacking, PushedRepository.OciManifest);
            await PushedRepository.AssertErrorAsync(refused, 404, "MANIFEST_BLOB_UNKNOWN");
        }
        Assert.Equal(HttpStatusCode.Created, await PushAsync("a/app", Random(Mega - 100_000)));
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
    }

    private static byte[] Random(int size) => RandomNumberGenerator.GetBytes(size);

    private async Task<HttpStatusCode> PushAsync(string name, byte[] blob)
    {
        using var response = await UploadAsync(name, blob);
        return response.StatusCode;
    }

    private async Task<HttpResponseMessage> UploadAsync(string name, byte[] blob)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post, new Uri(_registry!.Url, $"/v2/{name}/blobs/uploads/?digest={Digest.Of(blob)}"));
        request.Content = new ByteArrayContent(blob);
        return await Http.Client.SendAsync(request, Cancel);
    }
}
