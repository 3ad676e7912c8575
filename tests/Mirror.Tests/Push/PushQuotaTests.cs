using System.Net;
using System.Security.Cryptography;
using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary><c>hosted.max_size</c> and <c>hosted.max_repository_size</c>.</summary>
public sealed class PushQuotaTests : IAsyncDisposable
{
    private const int Mega = 1 << 20;

    private readonly TempFolder _folder = new();
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

    [Fact]
    public async Task A_user_has_a_limit_of_its_own_in_all_repositories_together()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Hosted = "[\"**\"], max_user_size: 3MiB",
            More = PasswordFile.Section(_folder),
        });
        var first = Random(2 * Mega);
        Assert.Equal(HttpStatusCode.Created, await PushAsync("a/app", first, "alice"));
        // The limit is the user's, whatever the repository; and what is there already costs a second user nothing.
        Assert.Equal(HttpStatusCode.Forbidden, await PushAsync("b/app", Random(2 * Mega), "alice"));
        Assert.Equal(HttpStatusCode.Created, await PushAsync("a/app", first, "erin"));
        Assert.Equal(HttpStatusCode.Created, await PushAsync("b/app", Random(2 * Mega), "erin"));
        using (var refused = await UploadAsync("b/app", Random(2 * Mega), "alice"))
            Assert.Contains(
                "user alice may push 3145728 bytes (hosted.max_user_size)", await refused.Content.ReadAsStringAsync(Cancel),
                StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Forbidden, await MountAsync("c/app", first, "alice"));
        Assert.Equal(HttpStatusCode.Created, await MountAsync("c/app", first, "robot-1"));

        // After a restart the store knows whose it was. What was deleted makes room for its user.
        using (var kept = await _registry.SendAsync(
            HttpMethod.Head, $"a/app/blobs/{Digest.Of(first)}", ("Authorization", PasswordFile.Basic("alice"))))
            Assert.Equal(HttpStatusCode.OK, kept.StatusCode);
        using (var deleted = await _registry.SendAsync(
            HttpMethod.Delete, $"a/app/blobs/{Digest.Of(first)}", ("Authorization", PasswordFile.Basic("erin"))))
            Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        await _registry.StopAsync();
        await _registry.StartAgainAsync();
        foreach (var (user, expected) in new[]
        {
            ("robot-1", HttpStatusCode.Forbidden), ("erin", HttpStatusCode.Forbidden), ("alice", HttpStatusCode.Created),
            ("alice", HttpStatusCode.Forbidden),
        })
            Assert.Equal(expected, await PushAsync("d/app", Random(2 * Mega), user));
    }

    [Fact]
    public async Task Without_a_login_the_limit_is_that_of_the_address()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { Hosted = "[\"**\"], max_user_size: 1MiB" });
        Assert.Equal(HttpStatusCode.Created, await PushAsync("a/app", Random(Mega / 2)));
        Assert.Equal(HttpStatusCode.Forbidden, await PushAsync("b/app", Random(Mega)));
        // A front on this machine names its client.
        using var request = Upload("b/app", Random(Mega), null);
        request.Headers.Add("X-Forwarded-For", "192.0.2.7");
        using var other = await Http.Client.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.Created, other.StatusCode);
    }

    [Fact]
    public async Task A_push_that_cannot_be_measured_does_not_count()
    {
        var options = new MirrorOptions { Hosted = { MaxRepositorySize = Mega, MaxSize = Mega } };
        var quota = new PushQuota(
            options.Hosted, EmptyStore.Of<ISweepStore>(), EmptyStore.Of<IContentStore>(), EmptyStore.Of<IReferenceStore>(),
            EmptyStore.Of<IDateStore>(), new HostedNames(options), TimeProvider.System);
        var name = RepositoryName.Parse("a/app");
        // The repository has been counted when the store as a whole cannot be.
        await Assert.ThrowsAsync<IOException>(async () => await quota.CountBlobAsync("user a", name, Digest.Of("1"u8), Mega, Cancel));
        using var again = await quota.CountBlobAsync("user a", name, Digest.Of("2"u8), Mega, Cancel);
        Assert.Null(again.Refusal);
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    private static byte[] Random(int size) => RandomNumberGenerator.GetBytes(size);

    private async Task<HttpStatusCode> PushAsync(string name, byte[] blob, string? user = null)
    {
        using var response = await UploadAsync(name, blob, user);
        return response.StatusCode;
    }

    private async Task<HttpStatusCode> MountAsync(string name, byte[] blob, string user)
    {
        using var response = await _registry!.SendAsync(
            HttpMethod.Post, $"{name}/blobs/uploads/?mount={Digest.Of(blob)}&from=a/app", ("Authorization", PasswordFile.Basic(user)));
        return response.StatusCode;
    }

    private async Task<HttpResponseMessage> UploadAsync(string name, byte[] blob, string? user = null)
    {
        using var request = Upload(name, blob, user);
        return await Http.Client.SendAsync(request, Cancel);
    }

    private HttpRequestMessage Upload(string name, byte[] blob, string? user)
    {
        var request = new HttpRequestMessage(
            HttpMethod.Post, new Uri(_registry!.Url, $"/v2/{name}/blobs/uploads/?digest={Digest.Of(blob)}"));
        request.Content = new ByteArrayContent(blob);
        if (user is not null)
            request.Headers.TryAddWithoutValidation("Authorization", PasswordFile.Basic(user));
        return request;
    }
}
