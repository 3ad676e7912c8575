using System.Net;
using System.Runtime.Versioning;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Folders of other programs on the volume, folders that may not be read, and what the verbs say of a wrong folder.</summary>
[SupportedOSPlatform("linux")]
public sealed class StrangeFoldersTests : IAsyncLifetime
{
    private const string OtherUser = "65534";

    private MirrorProcess _mirror = null!;
    private PushedRepository _app = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT_GRACE"] = "0s" },
        });
        _app = new PushedRepository(_mirror, "local/app");
    }

    public ValueTask DisposeAsync() => _mirror.DisposeAsync();

    [Fact]
    public async Task Folders_of_other_programs_are_not_walked()
    {
        await _app.PushManifestAsync("1");
        string[] folders = ["", "blobs", "blobs/sha256", "repositories", "repositories/local", "repositories/local/app/_manifests/tags"];
        foreach (var folder in folders)
        {
            var strange = Directory.CreateDirectory(Path.Combine(_mirror.Root, "docker/registry/v2", folder, "lost+found"));
            Directory.CreateDirectory(Path.Combine(_mirror.Root, "docker/registry/v2", folder, "@eaDir", "app", "_manifests"));
            strange.UnixFileMode = UnixFileMode.None;
        }
        await GiveAwayAsync();

        Assert.Equal(["1"], await _app.TagsAsync());
        using var catalog = await _mirror.GetAsync("_catalog");
        Assert.Equal("""{"repositories":["local/app"]}""", (await catalog.Content.ReadAsStringAsync(Cancel)).Trim());
        Assert.Equal(0, (await RunAsync("garbage-collect")).Code);
        Assert.Equal(0, (await RunAsync("verify")).Code);
    }

    [Theory]
    [InlineData("docker/registry/v2/repositories/local/closed")]
    [InlineData("docker/registry/v2/repositories/local/app/_manifests")]
    [InlineData("docker/registry/v2/repositories/local/app/_manifests/revisions")]
    [InlineData("docker/registry/v2/repositories/local/app/_manifests/revisions/sha256")]
    [InlineData("docker/registry/v2/repositories/local/app/_manifests/tags/1")]
    [InlineData("docker/registry/v2/repositories/local/app/_manifests/tags")]
    [InlineData("docker/registry/v2/blobs/sha256/00")]
    public async Task A_collection_deletes_nothing_while_a_folder_cannot_be_read(string path)
    {
        await _app.PushManifestAsync("1");
        var loose = await _app.PushAsync("loose"u8.ToArray());
        var folder = Directory.CreateDirectory(Path.Combine(_mirror.Root, path));
        var mode = folder.UnixFileMode;
        await GiveAwayAsync();
        if (Environment.IsPrivilegedProcess)
            await PeerProcess.RunAsync("chown", ["root", folder.FullName]);
        folder.UnixFileMode = UnixFileMode.None;
        try
        {
            var (code, output) = await RunAsync("garbage-collect", "-m");

            Assert.Equal(1, code);
            Assert.Contains(path, output, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
            Assert.Equal(1, (await RunAsync("verify")).Code);
            using var answer = await _mirror.GetAsync("_catalog");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
        finally
        {
            folder.UnixFileMode = mode;
        }
        Assert.Equal("1", Assert.Single(await _app.TagsAsync()));
        Assert.True(IsStored(loose));
        Assert.Equal(0, (await RunAsync("garbage-collect", "-m")).Code);
        Assert.False(IsStored(loose));
    }

    [Theory]
    [InlineData("repositories")]
    [InlineData("repositories/local/app/_layers")]
    [InlineData("repositories/local/app/_manifests/revisions/sha256")]
    [InlineData("repositories/local/app/_manifests/tags/1/current")]
    public async Task A_collection_deletes_nothing_while_the_file_system_cannot_tell_what_a_folder_has(string path)
    {
        await _app.PushManifestAsync("1");
        var loose = await _app.PushAsync("loose"u8.ToArray());
        var folder = Path.Combine(_mirror.Root, "docker/registry/v2", path);
        Directory.Move(folder, $"{folder}.away");
        // A link to itself: to look at it fails, as if the disk were broken.
        Directory.CreateSymbolicLink(folder, folder);
        await GiveAwayAsync();
        var (code, output) = await RunAsync("garbage-collect", "-m");
        File.Delete(folder);
        Directory.Move($"{folder}.away", folder);

        Assert.Equal(1, code);
        Assert.Contains("the garbage collection stopped", output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
        Assert.Equal("1", Assert.Single(await _app.TagsAsync()));
        Assert.True(IsStored(loose));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_pushed_manifest_that_is_lost_or_damaged_has_a_warning(bool isLost)
    {
        var (digest, _) = await _app.PushManifestAsync("1");
        await _mirror.StopAsync();
        var file = Path.Combine(_mirror.Root, RegistryLayout.BlobData(digest));
        if (isLost)
            File.Delete(file);
        else
            await File.WriteAllTextAsync(file, "{", Cancel);
        await _mirror.StartAgainAsync();

        using var answer = await _app.SendAsync("GET", "manifests/1");

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        await Until.TrueAsync(
            () => _mirror.Log.Any(line => line.Contains($"local/app lacks {digest}", StringComparison.Ordinal)),
            () => string.Join('\n', _mirror.Log));
    }

    [Fact]
    public async Task A_collection_names_a_lost_manifest_until_a_client_deletes_it()
    {
        var (digest, _) = await _app.PushManifestAsync("1");
        var loose = await _app.PushAsync("loose"u8.ToArray());
        await _mirror.StopAsync();
        File.Delete(Path.Combine(_mirror.Root, RegistryLayout.BlobData(digest)));
        await _mirror.StartAgainAsync();
        await GiveAwayAsync();

        var (code, output) = await RunAsync("garbage-collect");
        Assert.Equal(1, code);
        Assert.Contains($"local/app: the manifest {digest} is linked, and its content is not stored", output, StringComparison.Ordinal);
        Assert.Contains("push the image again or delete it", output, StringComparison.Ordinal);
        Assert.True(IsStored(loose));

        using var deleted = await _app.SendAsync("DELETE", $"manifests/{digest}");
        Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        Assert.Equal(0, (await RunAsync("garbage-collect")).Code);
        Assert.False(IsStored(loose));
    }

    [Fact]
    public async Task A_damaged_tag_keeps_the_manifests_of_its_repository()
    {
        await _app.PushManifestAsync("1");
        var link = Path.Combine(_mirror.Root, "docker/registry/v2/repositories/local/app/_manifests/tags/1/current/link");
        var text = await File.ReadAllTextAsync(link, Cancel);
        await File.WriteAllTextAsync(link, "", Cancel);
        await GiveAwayAsync();

        var (code, output) = await RunAsync("garbage-collect", "-m");

        Assert.Equal(1, code);
        Assert.Contains("the tag 1 is damaged", output, StringComparison.Ordinal);
        await File.WriteAllTextAsync(link, text, Cancel);
        using var answer = await _app.SendAsync("GET", "manifests/1");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task A_repair_leaves_a_blob_that_its_user_may_not_read()
    {
        var layer = await _app.PushAsync("layer"u8.ToArray());
        await GiveAwayAsync();
        var file = Path.Combine(_mirror.Root, RegistryLayout.BlobData(layer));
        var mode = File.GetUnixFileMode(file);
        File.SetUnixFileMode(file, UnixFileMode.None);

        var (code, output) = await RunAsync("verify", "--repair");
        Assert.Equal(1, code);
        Assert.Contains($"could not be read: {layer}", output, StringComparison.Ordinal);
        Assert.Contains("0 damaged, 1 could not be read", output, StringComparison.Ordinal);
        File.SetUnixFileMode(file, mode);
        Assert.Equal("layer", await _app.TextAsync($"blobs/{layer}"));
        Assert.Equal(0, (await RunAsync("verify", "--repair")).Code);
    }

    [Theory]
    [InlineData("verify")]
    [InlineData("garbage-collect")]
    public async Task A_wrong_folder_is_an_error(string verb)
    {
        using var other = new TempFolder();
        other.Write("notes.txt", "not a registry");
        foreach (var root in new[] { other.Path, Path.Combine(other.Path, "missing") })
        {
            await using var mirror = PeerProcess.Start(
                "dotnet", [MirrorProcess.Program, verb],
                new Dictionary<string, string> { ["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"] = root });
            Assert.Equal(1, await mirror.ExitCodeAsync());
            Assert.Contains(root, mirror.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_collection_says_what_the_grace_keeps_and_which_switch_frees_what_a_deleted_tag_named()
    {
        await _app.PushManifestAsync("1");
        using (var deleted = await _app.SendAsync("DELETE", "manifests/1"))
            Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        await _app.PushAsync("loose"u8.ToArray());

        var young = await RunWithGraceAsync("1h");
        Assert.Contains("keeps 1 blobs (5 bytes), 1 manifests", young, StringComparison.Ordinal);

        var old = await RunWithGraceAsync("0s");
        Assert.Contains("1 manifests that no tag names were kept; -m", old, StringComparison.Ordinal);
    }

    // Root may read every folder, so the verbs run as another user.
    private async Task GiveAwayAsync()
    {
        if (!Environment.IsPrivilegedProcess)
            return;
        var top = Path.TrimEndingDirectorySeparator(Path.GetTempPath());
        for (var folder = new DirectoryInfo(_mirror.Root); folder.FullName != top; folder = folder.Parent!)
            folder.UnixFileMode |= UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        await PeerProcess.RunAsync("chown", ["-R", OtherUser, _mirror.Root]);
        foreach (var strange in Directory.EnumerateDirectories(_mirror.Root, "lost+found", SearchOption.AllDirectories))
            await PeerProcess.RunAsync("chown", ["root", strange]);
    }

    private async Task<(int Code, string Output)> RunAsync(params string[] verb)
    {
        string[] command = ["dotnet", MirrorProcess.Program, .. verb];
        if (Environment.IsPrivilegedProcess)
            command = ["setpriv", $"--reuid={OtherUser}", $"--regid={OtherUser}", "--clear-groups", .. command];
        await using var process = PeerProcess.Start(
            command[0], command[1..],
            new Dictionary<string, string>
            {
                ["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"] = _mirror.Root,
                ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT_GRACE"] = "0s",
            });
        return (await process.ExitCodeAsync(), process.Output);
    }

    private async Task<string> RunWithGraceAsync(string grace)
    {
        await using var process = PeerProcess.Start(
            "dotnet", [MirrorProcess.Program, "garbage-collect", "-d"],
            new Dictionary<string, string>
            {
                ["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"] = _mirror.Root,
                ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT_GRACE"] = grace,
            });
        Assert.Equal(0, await process.ExitCodeAsync());
        return process.Output;
    }

    private bool IsStored(Digest digest) => File.Exists(Path.Combine(_mirror.Root, RegistryLayout.BlobData(digest)));
}
