using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Pushed images stay when the settings no longer host their repository.</summary>
public sealed class PushedStaysTests : MirrorOfHub
{
    private const int MiB = 1 << 20;
    private const string Team = "team/app";

    private readonly TempFolder _volume = new();

    protected override MirrorSettings Settings(ScriptedHub hub) =>
        new() { Upstream = hub.Url, Root = _volume.Path, Hosted = "[team/*]" };

    [Fact]
    public async Task A_changed_pattern_deletes_no_pushed_image()
    {
        var image = await PushAsync(Mirror);
        Hub.AddImage(Team, "other", HubBlob.Seeded(2, MiB));
        var copy = Hub.AddBlob(Repository, HubBlob.Seeded(1, 3 * MiB));
        await PullAsync(Mirror, copy.Digest);
        Age();
        await Mirror.StopAsync();

        await using var mirror = await StartMirrorAsync();
        await Until.TrueAsync(() => !IsStored(copy.Digest), () => string.Join('\n', mirror.Log));

        Assert.True(image.All(IsStored));
        await Until.TrueAsync(
            () => mirror.Log.Any(line => line.Contains($"--release NAME: {Team}", StringComparison.Ordinal)),
            () => string.Join('\n', mirror.Log));
        Assert.Equal(1, await mirror.MetricAsync("mirror_orphaned_repositories"));

        // What was pushed is served, by its tag and whole, whether upstream has no such tag or another image by it.
        await AssertServedAsync(mirror, image);
        Hub.AddImage(Team, "1", HubBlob.Seeded(3, MiB));
        await AssertServedAsync(mirror, image);
        using (var tags = await mirror.GetAsync($"{Team}/tags/list"))
            Assert.Contains("\"1\"", await tags.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        await mirror.StopAsync();
        await Mirror.StartAgainAsync();
        await AssertServedAsync(Mirror, image);
    }

    [Fact]
    public async Task A_purge_keeps_its_tag()
    {
        var image = await PushAsync(Mirror);
        await Mirror.StopAsync();
        await using var mirror = await StartMirrorAsync();

        var (code, output) = await mirror.VerbAsync("purge", Team);

        Assert.True(code == 0, output);
        Assert.Contains("kept: tag 1:", output, StringComparison.Ordinal);
        await AssertServedAsync(mirror, image);
    }

    [Fact]
    public async Task Once_it_is_released_upstreams_image_is_served()
    {
        await PushAsync(Mirror);
        await Mirror.StopAsync();
        var upstreams = Hub.AddImage(Team, "1", HubBlob.Seeded(3, MiB));
        await using var mirror = await StartMirrorAsync();

        var (code, output) = await mirror.RunAsync("garbage-collect", "--release", Team);

        Assert.True(code == 0, output);
        using var manifest = await mirror.GetAsync(ManifestPath("1", Team));
        Assert.Equal(upstreams.Digest, await DigestOfAsync(manifest));
    }

    // A lone upstream other than Docker Hub may have repositories with a dot in the first part of their names itself.
    [Theory]
    [InlineData("docker.io")]
    [InlineData("private.example")]
    public async Task Copies_of_a_removed_upstream_stay_and_are_named(string lone)
    {
        Hub.AddImage(Repository, "old", HubBlob.Seeded(5, MiB));
        await using var other = await ScriptedHub.StartAsync("127.0.0.2");
        var image = other.AddImage("acme/app", "1", HubBlob.Seeded(4, 2 * MiB));
        const string name = "registry.example/acme/app";
        await Mirror.StopAsync();
        var settings = new MirrorSettings
        {
            Upstream = Hub.Url,
            Root = Mirror.Root,
            More = $"  name: {lone}\n  upstreams:\n  - {{name: registry.example, remoteurl: {other.Url}}}\n",
        };
        await using (var both = await MirrorProcess.StartAsync(settings))
        {
            using (var manifest = await both.GetAsync(ManifestPath("1", name)))
                Assert.Equal(image.Digest, await DigestOfAsync(manifest));
            foreach (var blob in image.Layers.Append(image.Config))
                await PullAsync(both, blob.Digest, name);
            await both.StopAsync();
        }
        Directory.Delete(Path.Combine(Mirror.Root, "docker/registry/v2/repositories", name, "_manifests/tags"), recursive: true);
        Age();

        // The content of the removed upstream is larger than the limit, and no tag names it.
        await using var mirror = await StartMirrorAsync($"  name: {lone}\n");
        await mirror.UntilLoggedAsync(line => line.Contains($"--release NAME: {name}", StringComparison.Ordinal));
        var (code, output) = await mirror.RunAsync("garbage-collect", "-m");
        Assert.Equal(4, code);
        Assert.Contains($"{name} (no upstream)", output, StringComparison.Ordinal);
        Assert.True(IsStored(image.Digest));
        Assert.True(image.Layers.All(layer => IsStored(layer.Digest)));
        using (var manifest = await mirror.GetAsync(ManifestPath(image.Digest, name)))
            Assert.Equal(image.Digest, await DigestOfAsync(manifest));
        foreach (var path in new[] { "acme/app", name })
            using (var manifest = await mirror.GetAsync($"{ManifestPath(image.Digest, path)}?ns=registry.example"))
                Assert.Equal(image.Digest, await DigestOfAsync(manifest));

        (code, output) = await mirror.RunAsync("garbage-collect", "-m", "--release", "registry.example/**");

        Assert.True(code == 0, output);
        Assert.False(IsStored(image.Digest));
        Assert.DoesNotContain(image.Layers, layer => IsStored(layer.Digest));
        if (lone == "docker.io")
            return;
        // From the next start the name is the lone upstream's own.
        var own = Hub.AddImage(name, "1", HubBlob.Seeded(6, MiB));
        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        using (var manifest = await mirror.GetAsync(ManifestPath("1", name)))
            Assert.Equal(own.Digest, await DigestOfAsync(manifest));
    }

    [Fact]
    public async Task A_garbage_collection_names_what_is_orphaned_and_deletes_it_only_on_request()
    {
        var image = await PushAsync(Mirror);
        await Mirror.StopAsync();
        await using var mirror = await StartMirrorAsync();

        var (code, output) = await mirror.RunAsync("garbage-collect", "-m");
        Assert.Equal(4, code);
        Assert.Contains(Team, output, StringComparison.Ordinal);
        (code, _) = await mirror.RunAsync("garbage-collect", "-m", "--release", "other/*");
        Assert.Equal(4, code);
        (code, _) = await mirror.RunAsync("garbage-collect", "-d", "--release", "team/*");
        Assert.Equal(0, code);
        Assert.True(image.All(IsStored));

        (code, output) = await mirror.RunAsync("garbage-collect", "--release", "team/*");

        Assert.True(code == 0, output);
        Assert.DoesNotContain(image, IsStored);
        Assert.Equal(0, (await mirror.RunAsync("garbage-collect")).Code);
    }

    [Fact]
    public async Task On_an_old_volume_upstream_tells_what_is_a_copy()
    {
        var image = await PushAsync(Mirror);
        Hub.AddImage(Team, "other", HubBlob.Seeded(2, MiB));
        var upstreams = Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 3 * MiB));
        using (var manifest = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        await PullAsync(Mirror, upstreams.Layers[0].Digest);
        await Mirror.StopAsync();
        ForgetMarks();
        Age();

        await using var mirror = await StartMirrorAsync();
        await Until.TrueAsync(() => !IsStored(upstreams.Layers[0].Digest), () => string.Join('\n', mirror.Log));

        Assert.True(image.All(IsStored));
        Assert.True(IsStored(upstreams.Digest));
        // Now that it is known, a collection names it.
        Assert.Equal(4, (await mirror.RunAsync("garbage-collect")).Code);
    }

    // A gateway that answers every HEAD with something, and has none of it.
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 7)]
    [InlineData(null, 7)]
    public async Task A_HEAD_that_tells_of_other_content_makes_no_pushed_image_a_copy(bool? namesAnother, int longer)
    {
        var image = await PushAsync(Mirror);
        var length = new FileInfo(Path.Combine(Mirror.Root, RegistryLayout.BlobData(image[^1]))).Length;
        await Mirror.StopAsync();
        ForgetMarks();
        Age();
        Hub.AddImage(Team, "other", HubBlob.Seeded(2, MiB));
        Hub.Script(r => r is { Asked: Asked.Manifest, Method: "HEAD" }, Answer.By(context =>
        {
            context.Response.ContentType = MediaTypes.OciManifest;
            context.Response.ContentLength = length + longer;
            if (namesAnother is { } another)
                context.Response.Headers["Docker-Content-Digest"] = (another ? image[0] : image[^1]).ToString();
            return Task.CompletedTask;
        }));
        Hub.Script(r => r is { Asked: Asked.Blob, Method: "HEAD" }, Answer.By(context =>
        {
            context.Response.ContentLength = 77;
            return Task.CompletedTask;
        }));
        bool IsMarked(Provenance provenance, Digest digest) => File.Exists(
            Path.Combine(Mirror.Root, RegistryLayout.Mark(RepositoryName.Parse(Team), digest, provenance)));

        await using var mirror = await StartMirrorAsync();
        await Until.TrueAsync(
            () => image.All(digest => IsMarked(Provenance.Pushed, digest) || IsMarked(Provenance.Copied, digest)),
            () => string.Join('\n', mirror.Log));

        Assert.All(image, digest => Assert.True(IsMarked(Provenance.Pushed, digest)));
        Assert.True(image.All(IsStored));
    }

    [Fact]
    public async Task On_a_volume_of_registry_2_its_schedule_tells_what_is_a_copy()
    {
        var (noted, other) = (Hub.AddBlob(Repository, HubBlob.Seeded(1, 3 * MiB)), Hub.AddBlob(Repository, HubBlob.Seeded(2, 3 * MiB)));
        foreach (var blob in new[] { noted, other })
            await PullAsync(Mirror, blob.Digest);
        await Mirror.StopAsync();
        ForgetMarks();
        Age();
        Hub.Private.Add(Repository);
        var key = $"{Repository}@{noted.Digest}";
        await File.WriteAllTextAsync(
            Path.Combine(Mirror.Root, RegistryLayout.Schedule),
            $$$"""{"{{{key}}}":{"Key":"{{{key}}}","ExpiryData":"2026-01-01T00:00:00Z","EntryType":0}}""", Cancel);

        await using var mirror = await StartMirrorAsync();

        await Until.TrueAsync(() => !IsStored(noted.Digest), () => string.Join('\n', mirror.Log));
        Assert.True(IsStored(other.Digest));
    }

    [Fact]
    public async Task A_large_old_volume_is_asked_about_a_thousand_blobs_at_a_time_and_the_rest_stays_until_it_is_known()
    {
        const int Blobs = 1_010;
        await Mirror.StopAsync();
        for (var i = 0; i < Blobs; i++)
        {
            var digest = Hub.AddBlob(Repository, HubBlob.Seeded(i, 16)).Digest;
            var link = Path.Combine(Mirror.Root, RegistryLayout.LayerLink(RepositoryName.Parse(Repository), digest));
            Directory.CreateDirectory(Path.GetDirectoryName(link)!);
            await File.WriteAllTextAsync(link, digest.ToString(), Cancel);
        }
        var marks = Path.Combine(Mirror.Root, RegistryLayout.Marks(RepositoryName.Parse(Repository), Provenance.Copied, "sha256"));
        int Marked() => Directory.Exists(marks) ? Directory.GetFiles(marks).Length : 0;

        await using var mirror = await StartMirrorAsync();
        await mirror.UntilLoggedAsync(line => line.Contains("1000 are copies", StringComparison.Ordinal));
        Assert.Equal(1_000, Marked());
        var asked = Hub.Log.Requests.Where(request => request is { Asked: Asked.Blob, Method: "HEAD" }).Select(request => request.Path);
        Assert.Equal(1_000, asked.Distinct().Count());
        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        await Until.TrueAsync(() => Marked() == Blobs, () => $"{Marked()} are marked.");
    }

    private Task<MirrorProcess> StartMirrorAsync(string more = "") => MirrorProcess.StartAsync(new MirrorSettings
    {
        Upstream = Hub.Url,
        Root = Mirror.Root,
        More = more,
        Environment = new Dictionary<string, string>
        {
            ["REGISTRY_PROXY_MAX_SIZE"] = "1MiB",
            ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT_GRACE"] = "0s",
        },
    });

    // An image of one layer, larger than the limit.
    private static async Task<Digest[]> PushAsync(MirrorProcess mirror)
    {
        var pushed = new PushedRepository(mirror, Team);
        var layer = new byte[2 * MiB];
        var (layerDigest, config) = (await pushed.PushAsync(layer), await pushed.PushAsync("{}"u8.ToArray()));
        var manifest = Encoding.UTF8.GetBytes($$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}",
             "config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"{{config}}"},
             "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":{{layer.Length}},"digest":"{{layerDigest}}"}]}
            """);
        using var response = await pushed.SendAsync("PUT", "manifests/1", manifest, MediaTypes.OciManifest);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return [layerDigest, config, Digest.Of(manifest)];
    }

    private static async Task AssertServedAsync(MirrorProcess mirror, Digest[] image)
    {
        using (var manifest = await mirror.GetAsync(ManifestPath("1", Team)))
            Assert.Equal(image[^1], await DigestOfAsync(manifest));
        foreach (var blob in image[..^1])
        {
            using var response = await mirror.GetAsync(BlobPath(blob, Team));
            Assert.Equal(blob, await DigestOfAsync(response));
        }
    }

    private async Task PullAsync(MirrorProcess mirror, Digest digest, string name = Repository)
    {
        using (var response = await mirror.GetAsync(BlobPath(digest, name)))
            Assert.Equal(digest, await DigestOfAsync(response));
        await Until.TrueAsync(() => IsStored(digest), () => $"{digest} is not stored.");
    }

    // As the version before left its volume, and registry:2.
    private void ForgetMarks()
    {
        foreach (var marks in new[] { RegistryLayout.Pushed, RegistryLayout.Copied })
            if (Directory.Exists(Path.Combine(Mirror.Root, marks)))
                Directory.Delete(Path.Combine(Mirror.Root, marks), recursive: true);
    }

    private void Age()
    {
        foreach (var file in Directory.EnumerateFiles(Mirror.Root, "*", SearchOption.AllDirectories))
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow - TimeSpan.FromHours(100));
    }
}
