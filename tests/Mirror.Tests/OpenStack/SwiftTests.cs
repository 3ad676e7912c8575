using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Swift;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedSwift))]

namespace Mirror.Tests.OpenStack;

/// <summary>The registry and mirror with its content in a container of Swift.</summary>
public sealed class SwiftTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;
    private const string Repository = "library/nginx";
    private const string Object = "docker/x";

    private static readonly TimeSpan Validity = TimeSpan.FromMinutes(1);

    private readonly string _container = $"c{Guid.NewGuid():N}";
    private Swift _store = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _store = await SharedSwift.OrSkipAsync();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_cold_blob_is_streamed_and_a_warm_one_is_redirected_to_a_private_container()
    {
        await using var hub = await ScriptedHub.StartAsync();
        var blob = hub.AddBlob(Repository, HubBlob.Seeded(1, 12 * MiB));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = hub.Url, Driver = Driver() });
        using (var cold = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, Digest.Of(await cold.Content.ReadAsByteArrayAsync(Cancel)));
        await mirror.UntilStoredAsync($"{Repository}/blobs/{blob.Digest}");

        var address = await mirror.UntilRedirectedAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal(_store.Url.Authority, address.Authority);
        Assert.Equal(blob.Digest, Digest.Of(await Http.Client.GetByteArrayAsync(address, Cancel)));
        Assert.Equal(blob.Size, hub.Log.BodyBytes(blob.Digest));
        using var stranger = await Http.Client.GetAsync(new Uri(address.GetLeftPart(UriPartial.Path)), Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, stranger.StatusCode);
        Assert.Contains(await _store.NamesAsync(_container), name => name.StartsWith("segments/2f6/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Servers_that_find_no_key_for_addresses_at_the_same_moment_sign_with_one_key()
    {
        await using var front = await StoreFront.StartAsync(_store.Url, (_, _) => Task.CompletedTask);
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        using SwiftBucket slow = Open(), fast = Open();
        await fast.PutTextAsync(Object, "text", Cancel);
        // Both find no key. One sets its key at once. The request of the other one is lost on its way, and repeated.
        var isFirst = true;
        front.Faults.Set(
            request => HttpMethods.IsPost(request.Method) && Interlocked.Exchange(ref isFirst, false) ? StoreFault.Hang : null);
        var late = slow.LocateAsync(Object, Validity, Cancel).AsTask();
        await Until.TrueAsync(() => front.Faults.Count == 1, () => "No key was set.");
        var early = await fast.LocateAsync(Object, Validity, Cancel);
        front.Faults.Clear();
        // None, or one that Swift accepts.
        foreach (var address in new[] { early, await late })
            if (address is not null)
                Assert.Equal("text", await Http.Client.GetStringAsync(address, Cancel));
        time.Advance(TimeSpan.FromSeconds(6));
        foreach (var bucket in new[] { slow, fast })
            Assert.Equal("text", await Http.Client.GetStringAsync(await bucket.LocateAsync(Object, Validity, Cancel), Cancel));

        SwiftBucket Open() => new(
            new SwiftOptions
            {
                AuthUrl = new Uri(front.Url, _store.AuthUrl.AbsolutePath).OriginalString,
                Username = Swift.User,
                Password = Swift.Password,
                Container = _container,
            },
            time);
    }

    [Fact]
    public async Task What_this_server_pushed_docker_registry_serves_and_deletes_with_its_segments()
    {
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var image = TestImage.Create(seed: 70, layers: 2);
        using var skopeo = new Skopeo();
        await using (var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver() }))
        {
            await skopeo.PushAsync(image, $"{mirror.Authority}/acme/app:1");
            await PushBlobAsync(mirror.Url, "acme/app", new byte[3 * MiB]);
        }
        await using var registry = await DockerRegistry.StartAsync(driver: Driver());
        await AssertPulledAsync(image, $"{registry.Authority}/acme/app:1");
        var large = Digest.Of(new byte[3 * MiB]);
        var address = new Uri(registry.Url, $"/v2/acme/app/blobs/{large}");
        using (var redirect = await Http.Client.GetAsync(address, Cancel))
            address = redirect.StatusCode is HttpStatusCode.OK ? address : redirect.Headers.Location!;
        Assert.Equal(large, Digest.Of(await Http.Client.GetByteArrayAsync(address, Cancel)));
        Assert.Contains(await _store.NamesAsync(_container), name => name.StartsWith("segments/2f6/", StringComparison.Ordinal));

        // No manifest names the large blob, so that the collector of docker-registry deletes it, and its segments.
        await registry.StopAsync();
        await registry.CollectAsync();
        var left = await _store.NamesAsync(_container);
        Assert.DoesNotContain(left, name => name.StartsWith("segments/", StringComparison.Ordinal));
        Assert.DoesNotContain(left, name => name.EndsWith($"{large.Hex}/data", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_docker_registry_pushed_is_served_and_both_go_on_with_the_container()
    {
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var (image, other) = (TestImage.Create(seed: 71, layers: 3), TestImage.Create(seed: 72, layers: 1));
        using var skopeo = new Skopeo();
        await using (var registry = await DockerRegistry.StartAsync(driver: Driver()))
            await skopeo.PushAsync(image, $"{registry.Authority}/acme/app:1");
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Driver = Driver() });
        await AssertPulledAsync(image, $"{mirror.Authority}/acme/app:1");
        await skopeo.PushAsync(other, $"{mirror.Authority}/acme/app:2");
        await using var again = await DockerRegistry.StartAsync(driver: Driver());
        await AssertPulledAsync(other, $"{again.Authority}/acme/app:2");
        await AssertPulledAsync(image, $"{again.Authority}/acme/app:1");
    }

    // As docker-registry reads it, too.
    private string Driver() =>
        $"  swift:\n    username: {Swift.User}\n    password: {Swift.Password}\n    authurl: {_store.AuthUrl}\n"
        + $"    container: {_container}\n    chunksize: 1048576\n";

    private static async Task PushBlobAsync(Uri registry, string repository, byte[] bytes)
    {
        using var begun = await Http.Client.PostAsync(new Uri(registry, $"/v2/{repository}/blobs/uploads/"), null, Cancel);
        var location = Http.LocationOf(begun).OriginalString;
        using var body = new ByteArrayContent(bytes);
        using var done = await Http.Client.PutAsync(
            new Uri($"{location}{(location.Contains('?') ? "&" : "?")}digest={Digest.Of(bytes)}"), body, Cancel);
        Assert.Equal(HttpStatusCode.Created, done.StatusCode);
    }

    private static async Task AssertPulledAsync(TestImage image, string name)
    {
        using var skopeo = new Skopeo();
        var pulled = await skopeo.PullAsync(name);
        Assert.Equal(image.Manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));
        Assert.All(image.Blobs, blob => Assert.True(File.Exists(Path.Combine(pulled, blob.Hex))));
    }
}
