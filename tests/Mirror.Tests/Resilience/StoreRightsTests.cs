using System.Diagnostics.Metrics;
using System.Net;
using System.Runtime.Versioning;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Health;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Some folders of the store belong to another user than the server's, such as after <c>chown</c> without <c>-R</c>.</summary>
[SupportedOSPlatform("linux")]
public sealed class StoreRightsTests : IAsyncLifetime
{
    private const string User = "65534";

    private MirrorProcess _mirror = null!;
    private PushedRepository _app = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Availability.OfRoot("setpriv").OrSkip();
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        _app = new PushedRepository(_mirror, "local/app");
    }

    public async ValueTask DisposeAsync()
    {
        if (_mirror is not null)
            await _mirror.DisposeAsync();
    }

    [Theory]
    [InlineData("docker")]
    [InlineData("docker/registry/v2/blobs/sha256")]
    public async Task A_folder_where_the_server_may_not_write_is_said_at_the_start(string folder)
    {
        await _app.PushManifestAsync("1");
        await StartWithoutRightsToAsync("-R", folder);

        await _mirror.UntilLoggedAsync(line => line.Contains("cannot store a trial file", StringComparison.Ordinal)
            // A plain registry has no upstream.
            && line.Contains("What is stored is served, and pushes are refused", StringComparison.Ordinal)
            && line.Contains($"chown -R nobody {_mirror.Root}", StringComparison.Ordinal));
        Assert.Equal(0, await _mirror.MetricAsync("mirror_store_writable"));
        Assert.Contains(
            "has no right to write to the folder", await Http.Client.GetStringAsync(new Uri(_mirror.Debug, "/debug/ready"), Cancel),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_server_may_not_delete_is_answered_as_what_it_may_not_write_and_another_push_says_nothing_about_it()
    {
        var (manifest, _) = await _app.PushManifestAsync("1");
        var config = await _app.PushAsync("layer"u8.ToArray());
        await StartWithoutRightsToAsync("-R", RegistryLayout.Repository(Storage.RepositoryName.Parse(_app.Name)));
        Assert.Equal(1, await _mirror.MetricAsync("mirror_store_writable"));

        foreach (var path in new[] { "manifests/1", $"manifests/{manifest}", $"blobs/{config}" })
            using (var answer = await _app.SendAsync("DELETE", path))
                await PushedRepository.AssertErrorAsync(answer, 503, "UNAVAILABLE");
        await _mirror.UntilLoggedAsync(line => line.Contains("advice=\"give this user the right to write to it: chown -R",
            StringComparison.Ordinal));
        Assert.DoesNotContain(_mirror.Log, line => line.Contains("unexpected failure", StringComparison.Ordinal));

        await new PushedRepository(_mirror, "local/other").PushManifestAsync("1");
        Assert.Equal(0, await _mirror.MetricAsync("mirror_store_writable"));
        Assert.DoesNotContain(_mirror.Log, line => line.Contains("takes writes again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_upload_that_the_server_may_not_delete_is_answered_so()
    {
        var upload = await _app.BeginAsync();
        using (var part = await _app.SendAsync("PATCH", upload, new byte[1 << 20]))
        {
            Assert.Equal(HttpStatusCode.Accepted, part.StatusCode);
            upload = PushedRepository.Location(part);
        }
        await StartWithoutRightsToAsync("", RegistryLayout.Uploads(Storage.RepositoryName.Parse(_app.Name)));

        using var answer = await _app.SendAsync("DELETE", upload);
        await PushedRepository.AssertErrorAsync(answer, 503, "UNAVAILABLE");
    }

    [Theory]
    [InlineData("docker/registry/v2/repositories/a")]
    [InlineData("mirror/dates")]
    [InlineData("mirror/pins")]
    [InlineData("mirror/fills/sha256")]
    public async Task The_store_takes_writes_again_only_when_every_place_does(string closed)
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        foreach (var repository in new[] { "docker/registry/v2/repositories/b", "mirror/pushed/b", "mirror/copied/b" })
            Directory.CreateDirectory(Path.Combine(volume.Path, repository));
        await LoopVolume.CloseAsync(Directory.CreateDirectory(Path.Combine(volume.Path, closed)).FullName);
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using var writes = Writes(services, volume.Path);
        foreach (var repository in new[] { "a", "b" })
            writes.Failed("a blob", new UnauthorizedAccessException("planted"), Storage.RepositoryName.Parse(repository));

        await writes.StartAsync(Cancel);
        await Until.TrueAsync(() => writes.Failure is not "planted", () => "The store was not tried.");
        Assert.EndsWith($"has no right to write to the folder {volume.Path}/{closed}", writes.Failure, StringComparison.Ordinal);
        await writes.StopAsync(Cancel);
    }

    private static StoreWrites Writes(ServiceProvider services, string root) => new(
        new MirrorOptions { Storage = { Filesystem = { RootDirectory = root } } }.Storage, new ProxyOptions(),
        new StoreMetrics(new MirrorMeter(services.GetRequiredService<IMeterFactory>())), new FakeTimeProvider(),
        NullLogger<StoreWrites>.Instance);

    [Fact]
    public async Task A_trial_of_every_place_finds_that_the_rights_are_mended()
    {
        using var folder = new TempFolder();
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using var writes = Writes(services, folder.Path);
        writes.Failed("a blob", new UnauthorizedAccessException("planted"), Storage.RepositoryName.Parse("a/b"));
        writes.Succeeded();
        Assert.Equal("planted", writes.Failure);

        await writes.StartAsync(Cancel);
        await Until.TrueAsync(() => writes.Failure is null, () => writes.Failure ?? "");
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));

        writes.Failed("a blob", new IOException("planted"));
        writes.Succeeded();
        Assert.Null(writes.Failure);
        await writes.StopAsync(Cancel);
    }

    [Fact]
    public async Task What_the_server_may_not_read_is_an_error_and_not_an_empty_list_or_the_length_of_a_blob_that_GET_refuses()
    {
        var (manifest, _) = await _app.PushManifestAsync("1");
        var (referrer, _) = await _app.PushManifestAsync("2", subject: manifest);
        var layer = await _app.PushAsync("layer"u8.ToArray());
        var name = Storage.RepositoryName.Parse(_app.Name);
        await _mirror.StopAsync();
        await PeerProcess.RunAsync("chown", ["-R", User, _mirror.Root]);
        _mirror.Change(settings => settings with { User = User });
        await _mirror.StartAgainAsync();

        var manifests = $"{RegistryLayout.Repository(name)}/_manifests";
        await AssertRefusedAsync(manifests, ["tags/list", "tags/list?n=1"]);
        await AssertRefusedAsync(RegistryLayout.Tags(name), ["tags/list", $"referrers/{manifest}"]);
        await AssertRefusedAsync(RegistryLayout.Referrers(name, manifest), [$"referrers/{manifest}"]);
        await AssertRefusedAsync(RegistryLayout.Referrer(name, manifest, referrer), [$"referrers/{manifest}"]);
        await AssertRefusedAsync(RegistryLayout.BlobData(layer), [$"blobs/{layer}"]);
        await AssertRefusedAsync(RegistryLayout.Repositories, [new Uri(_mirror.Url, "/v2/_catalog").ToString()]);
        // With the tags, a delete would leave tags that name nothing.
        await AssertRefusedAsync(RegistryLayout.Tags(name), [$"manifests/{manifest}"], "DELETE");

        Assert.Equal(["1", "2"], await _app.TagsAsync());
        Assert.Contains($"{referrer}", await _app.TextAsync($"referrers/{manifest}"), StringComparison.Ordinal);
        Assert.Equal("layer", await _app.TextAsync($"blobs/{layer}"));
    }

    // Takes the rights to a file or a folder away, and gives them back at the end.
    private async Task AssertRefusedAsync(string closed, string[] paths, string method = "GET")
    {
        var path = Path.Combine(_mirror.Root, closed);
        var mode = File.GetUnixFileMode(path);
        File.SetUnixFileMode(path, UnixFileMode.None);
        foreach (var asked in paths)
        {
            using (var answer = await _app.SendAsync(method, asked))
                await PushedRepository.AssertErrorAsync(answer, 503, "UNAVAILABLE");
            if (asked.StartsWith("blobs/", StringComparison.Ordinal))
                using (var head = await _app.SendAsync("HEAD", asked))
                    Assert.Equal(HttpStatusCode.ServiceUnavailable, head.StatusCode);
        }
        File.SetUnixFileMode(path, mode);
        await _mirror.UntilLoggedAsync(line => line.Contains(
            $"advice=\"give this user the right to read it: chown -R nobody {path}\"", StringComparison.Ordinal));
    }

    /// <summary>Starts the server as <see cref="User"/>, who owns all of its store but a folder.</summary>
    /// <param name="all"><c>-R</c>: nor what is in the folder.</param>
    private async Task StartWithoutRightsToAsync(string all, string folder)
    {
        await _mirror.StopAsync();
        await PeerProcess.RunAsync("chown", ["-R", User, _mirror.Root]);
        await PeerProcess.RunAsync("chown", [.. all is "" ? Array.Empty<string>() : [all], "root", Path.Combine(_mirror.Root, folder)]);
        _mirror.Change(settings => settings with { User = User });
        await _mirror.StartAgainAsync();
    }
}
