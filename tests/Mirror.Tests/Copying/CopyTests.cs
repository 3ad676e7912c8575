using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Http;
using Mirror.Commands;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;
using Mirror.Tests.Images;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.S3;
using Mirror.Tests.Stores;
using Xunit;

namespace Mirror.Tests.Copying;

/// <summary><c>copy</c>: a registry moves from one store to another while it serves.</summary>
public sealed class CopyTests : IAsyncLifetime
{
    private const string Name = "local/app";

    // The rest belongs to one store or one process.
    private static readonly string[] Copied = ["docker/registry/v2", "mirror/pushed", "mirror/copied", "mirror/pins", "mirror/dates"];

    private readonly TempFolder _folder = new();
    private GoogleStorage _google = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Files => Config("files", FilesOf("root"));

    private string Google => Config("google", GoogleDriver);

    private string GoogleDriver => $"  gcs:\n    bucket: {GoogleStorage.Bucket}\n    keyfile: {_folder["key.json"]}\n"
        + $"    rootdirectory: /registry\n    endpoint: {_google.Url}\n    scratchdirectory: {_folder["scratch"]}\n";

    // A server over the bucket that sends the bytes itself.
    private MirrorSettings Direct => new() { Driver = $"{GoogleDriver}  redirect: {{disable: true}}\n" };

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _google = await GoogleStorage.StartAsync();
        _folder.Write("key.json", _google.KeyFile());
    }

    public async ValueTask DisposeAsync()
    {
        await _google.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_registry_moves_to_a_bucket_that_docker_registry_serves_and_back_to_the_same_files()
    {
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var bucket = BucketDriver.Of((await SharedRadosgw.OrSkipAsync()).Url, $"copy/{Guid.NewGuid():N}");
        var (mirrored, pushed) = (TestImage.Create(seed: 80, layers: 2), TestImage.Create(seed: 81, layers: 1, oci: true));
        using var skopeo = new Skopeo();
        await using var upstream = await DockerRegistry.StartAsync();
        await skopeo.PushAsync(mirrored, $"{upstream.Authority}/acme/hello:1");
        await using (var source = await StartAsync(upstream.Url))
        {
            await skopeo.PullAsync($"{source.Authority}/acme/hello:1");
            foreach (var blob in mirrored.Blobs)
                await source.UntilStoredAsync($"acme/hello/blobs/{blob}");
            await skopeo.PushIndexAsync(
                [pushed, TestImage.Create(seed: 82, layers: 1, oci: true, architecture: "arm64")], $"{source.Authority}/{Name}:1");
            await PushReferrerAsync(source, pushed);
            await NoteAsync(mirrored.Digest);

            var (code, output) = await CopyAsync(Files, Config("bucket", bucket));
            Assert.True(code == 0, output);
            Assert.Contains("2 repositories, 2 tags, 5 manifests", output);
        }
        await using (var registry = await DockerRegistry.StartAsync(driver: bucket))
        {
            var pulled = await skopeo.PullAsync($"{registry.Authority}/acme/hello:1");
            Assert.Equal(mirrored.Manifest, await File.ReadAllBytesAsync(Path.Combine(pulled, "manifest.json"), Cancel));
            await skopeo.PullAsync($"{registry.Authority}/{Name}:1");
        }

        var (again, back) = await CopyAsync(Config("bucket", bucket), Config("back", FilesOf("back")));
        Assert.True(again == 0, back);
        AssertSameFiles("root", "back");
    }

    [Fact]
    public async Task What_is_pushed_meanwhile_is_copied_and_a_second_run_finds_nothing_to_copy()
    {
        var (before, after) = (Pushes.Image(1), Pushes.Image(2));
        await using var source = await StartAsync();
        await PushAsync(source, "1", before);
        await PushAsync(source, "moves", before);
        _google.Faults.Set(request => HttpMethods.IsPost(request.Method) && request.Path != "/token" ? StoreFault.Hang : null);

        var copy = CopyAsync(Files, Google, "--parallel", "1");
        await Until.TrueAsync(() => _google.Faults.Count > 0, () => "Nothing was written to the bucket.");
        // The tags of the repository have been read.
        await PushAsync(source, "moves", after);
        await PushAsync(source, "new", after);
        await Pushes.PushAsync(source, "local/other", "1", after.Manifest, after.Blobs);
        _google.Faults.Clear();

        var (code, output) = await copy;
        Assert.True(code == 0, output);
        (code, output) = await CopyAsync(Files, Google);
        Assert.True(code == 0, output);
        Assert.Contains("2 repositories, 0 tags, 0 manifests, 0 blobs with 0.0 MB were copied", output);
        (code, output) = await CopyAsync(Google, Config("back", FilesOf("back")), "--repositories", "local/**");
        Assert.True(code == 0, output);
        AssertSameFiles("root", "back");
    }

    [Fact]
    public async Task A_copy_that_was_killed_left_nothing_half_and_is_continued()
    {
        var image = Pushes.Image(1);
        await using (var source = await StartAsync())
            await PushAsync(source, "1", image);
        // The first three of six blobs pass, each with its claim.
        var passed = 0;
        _google.Faults.Set(request => HttpMethods.IsPost(request.Method) && request.Path != "/token"
            && Interlocked.Increment(ref passed) > 6 ? StoreFault.Hang : null);
        await using (var copy = PeerProcess.Start(
            "dotnet", [MirrorProcess.Program, "copy", "--from", Files, "--to", Google, "--parallel", "1"]))
        {
            await Until.TrueAsync(() => _google.Faults.Count > 0, () => $"Nothing was written to the bucket:\n{copy.Output}");
            await copy.KillAsync();
        }
        _google.Faults.Clear();

        await using (var half = await MirrorProcess.StartAsync(Direct))
        {
            using var absent = await half.GetAsync($"{Name}/manifests/1");
            Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
        }
        var (code, output) = await CopyAsync(Files, Google);
        Assert.True(code == 0, output);
        Assert.DoesNotContain("6 blobs", output);
        await using var whole = await MirrorProcess.StartAsync(Direct);
        await Pushes.AssertWholeAsync(whole, Name, "1", image.Manifest, image.Blobs);
    }

    [Fact]
    public async Task Damaged_content_is_named_and_no_image_that_needs_it_is_copied()
    {
        var (good, bad) = (Pushes.Image(1), Pushes.Image(2));
        await using (var source = await StartAsync())
        {
            await PushAsync(source, "good", good);
            await PushAsync(source, "bad", bad);
        }
        var blob = Digest.Of(bad.Blobs[4]);
        var path = _folder["root", RegistryLayout.BlobData(blob)];
        var damaged = (byte[])bad.Blobs[4].Clone();
        damaged[^1]++;
        await File.WriteAllBytesAsync(path, damaged, Cancel);
        var target = Config("target", FilesOf("target"));

        // What is only counted is not read.
        var (code, output) = await CopyAsync(Files, target, "--dry-run");
        Assert.True(code == 0, output);
        Assert.Contains("1 repositories, 2 tags, 2 manifests, ", output);
        Assert.Contains("would be copied", output);
        Assert.False(Directory.Exists(Path.Combine(_folder.Path, "target")));

        (code, output) = await CopyAsync(Files, target);
        Assert.Equal(6, code);
        Assert.Contains($"not copied: {Name}@{blob}: its bytes do not match the digest", output);
        Assert.Contains($"not copied: {Name}@{Digest.Of(bad.Manifest)}: it needs {blob}, which is not copied", output);
        Assert.Contains($"not copied: {Name}:bad: its manifest {Digest.Of(bad.Manifest)} is not copied", output);
        await using var copied = await MirrorProcess.StartAsync(new MirrorSettings { Root = _folder["target"] });
        await Pushes.AssertWholeAsync(copied, Name, "good", good.Manifest, good.Blobs);
        using (var absent = await copied.GetAsync($"{Name}/manifests/bad"))
            Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);

        await File.WriteAllBytesAsync(path, bad.Blobs[4], Cancel);
        (code, output) = await CopyAsync(Files, target);
        Assert.True(code == 0, output);
        Assert.Contains("1 tags, 1 manifests, 1 blobs", output);
        await Pushes.AssertWholeAsync(copied, Name, "bad", bad.Manifest, bad.Blobs);
    }

    [Theory]
    [InlineData("layer")]
    [InlineData("links")]
    [InlineData("manifest")]
    public async Task A_pushed_image_that_has_lost_something_is_named_and_not_copied(string lost)
    {
        var (whole, broken) = (Pushes.Image(1), Pushes.Image(2));
        var (blob, manifest) = (Digest.Of(broken.Blobs[4]), Digest.Of(broken.Manifest));
        await using (var source = await StartAsync())
        {
            await Pushes.PushAsync(source, "local/whole", "1", whole.Manifest, whole.Blobs);
            await PushAsync(source, "1", broken);
        }
        if (lost == "links")
            Directory.Delete(_folder["root", RegistryLayout.Layers(RepositoryName.Parse(Name))], recursive: true);
        else
            File.Delete(_folder["root", RegistryLayout.BlobData(lost == "layer" ? blob : manifest)]);

        string[] lines = lost switch
        {
            "layer" => [$"{Name}@{blob}: the source does not have it", $"{Name}@{manifest}: it needs {blob}, which is not copied"],
            "links" => [$"{Name}@{blob}: the source has lost the link", $"{Name}@{manifest}: it needs sha256:"],
            _ => [$"{Name}@{manifest}: the source does not have it"],
        };
        foreach (var option in new string[][] { ["--dry-run"], [], [] })
        {
            var (code, output) = await CopyAsync(Files, Config("target", FilesOf("target")), option);
            Assert.True(code == 6, output);
            foreach (var line in lines.Append($"{Name}:1: its manifest {manifest} is not copied"))
                Assert.Contains($"not copied: {line}", output);
            Assert.DoesNotContain("not copied: local/whole", output);
        }
        await using var copied = await MirrorProcess.StartAsync(new MirrorSettings { Root = _folder["target"] });
        await Pushes.AssertWholeAsync(copied, "local/whole", "1", whole.Manifest, whole.Blobs);
        using var absent = await copied.GetAsync($"{Name}/manifests/1");
        Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
    }

    [Fact]
    public async Task A_pushed_index_that_has_lost_a_child_is_named_and_one_that_never_had_it_is_copied()
    {
        var (image, index) = (Pushes.Image(1), "local/index");
        var child = Digest.Of(image.Manifest);
        await using (var source = await StartAsync())
        {
            await Pushes.PushAsync(source, index, "child", image.Manifest, image.Blobs);
            await PushIndexAsync(source, index, image.Manifest);
            await PushIndexAsync(source, "local/sparse", image.Manifest);
        }
        Directory.Delete(_folder["root", RegistryLayout.Revision(RepositoryName.Parse(index), child)], recursive: true);

        var (code, output) = await CopyAsync(Files, Config("target", FilesOf("target")));
        Assert.True(code == 6, output);
        Assert.Contains($"not copied: {index}@{child}: the source has lost the link", output);
        Assert.Contains($"not copied: {index}:child: its manifest {child} is not copied", output);
        Assert.Contains($": it needs {child}, which is not copied", output);
        Assert.Contains($"not copied: {index}:all: its manifest ", output);
        Assert.DoesNotContain("not copied: local/sparse", output);
    }

    [Fact]
    public async Task A_copy_from_upstream_that_lacks_a_layer_or_its_manifest_is_no_problem()
    {
        DockerRegistry.Availability.OrSkip();
        Skopeo.Availability.OrSkip();
        var (image, gone) = (TestImage.Create(seed: 83, layers: 2), TestImage.Create(seed: 84, layers: 1));
        using var skopeo = new Skopeo();
        await using var upstream = await DockerRegistry.StartAsync();
        await skopeo.PushAsync(image, $"{upstream.Authority}/acme/part:1");
        await skopeo.PushAsync(gone, $"{upstream.Authority}/acme/part:gone");
        await using (var source = await StartAsync(upstream.Url))
            foreach (var tag in new[] { "1", "gone" })
            {
                using var manifest = await source.GetAsync($"acme/part/manifests/{tag}");
                Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
            }
        File.Delete(_folder["root", RegistryLayout.BlobData(gone.Digest)]);

        var (code, output) = await CopyAsync(Files, Config("target", FilesOf("target")));
        Assert.True(code == 0, output);
        Assert.Contains("1 repositories, 1 tags, 1 manifests, 0 blobs", output);
        // Of registry:2, which writes no marks, but notes what it copied.
        Directory.Delete(_folder["root", "mirror/copied"], recursive: true);
        Assert.Equal(6, (await CopyAsync(Files, Config("other", FilesOf("other")))).Code);
        _folder.Write(
            "root/scheduler-state.json",
            $$$"""{"acme/part@{{{image.Digest}}}":{"EntryType":1},"acme/part@{{{gone.Digest}}}":{"EntryType":1}}""");
        (code, output) = await CopyAsync(Files, Config("third", FilesOf("third")));
        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task A_tag_that_names_no_manifest_is_named_with_the_reason()
    {
        await using (var source = await StartAsync())
            await PushAsync(source, "1", Pushes.Image(1));
        var (name, absent) = (RepositoryName.Parse(Name), Digest.Of([1]));
        var path = _folder["root", RegistryLayout.Tags(name)];
        foreach (var (tag, link) in new[] { ("dangling", absent.ToString()), ("empty", "") })
        {
            Directory.CreateDirectory(Path.Combine(path, tag, "current"));
            await File.WriteAllTextAsync(Path.Combine(path, tag, "current", "link"), link, Cancel);
        }
        Directory.CreateDirectory(Path.Combine(path, "unset"));

        foreach (var option in new string[][] { ["--dry-run"], [] })
        {
            var (code, output) = await CopyAsync(Files, Config("target", FilesOf("target")), option);
            Assert.True(code == 6, output);
            Assert.Contains($"not copied: {Name}:dangling: the source does not have its manifest {absent}", output);
            Assert.Contains($"not copied: {Name}:empty: its link is damaged, and names no manifest", output);
            Assert.Contains($"not copied: {Name}:unset: it has no link, and names no manifest", output);
            Assert.Contains("1 repositories, 1 tags, 1 manifests", output);
            Assert.Contains("; 3 problems", output);
        }
    }

    [Fact]
    public async Task A_destination_that_refuses_stops_the_copy_with_its_reason()
    {
        await using (var source = await StartAsync())
            await PushAsync(source, "1", Pushes.Image(1));
        _google.Faults.Set(request => HttpMethods.IsPost(request.Method) && request.Path != "/token" ? StoreFault.Status(403) : null);

        var (code, output) = await CopyAsync(Files, Google);
        Assert.Equal(1, code);
        Assert.Contains("error: the copy stopped, and the same command continues it: ", output);
        Assert.Contains("403", output);

        (code, output) = await CopyAsync(Files, Files);
        Assert.Equal(1, code);
        Assert.Contains("error: --from and --to name the same storage", output);
    }

    [Theory]
    [InlineData(StoreKind.Azure)]
    [LongData(StoreKind.Swift)]
    public async Task A_container_that_is_mistyped_is_not_made_by_a_command_that_reads(StoreKind kind)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(kind);
        var mistyped = Config("mistyped", store.DirectDriver);
        string[][] commands =
        [
            ["copy", "--from", mistyped, "--to", Google], ["copy", "--from", mistyped, "--to", Google, "--dry-run"],
            ["verify", mistyped], ["garbage-collect", mistyped],
        ];
        foreach (var command in commands)
        {
            var (code, output) = await RunAsync(command);
            Assert.True(code == 1 && output.Contains("there is no such container", StringComparison.Ordinal), output);
        }
        // As a destination it is made, but not by a dry run.
        await using (var source = await StartAsync())
            await PushAsync(source, "1", Pushes.Image(1));
        foreach (var option in new string[][] { ["--dry-run"], ["--dry-run"], [] })
        {
            var (code, output) = await CopyAsync(Files, mistyped, option);
            Assert.True(code == 0 && output.Contains("1 repositories", StringComparison.Ordinal), output);
            Assert.Equal(option is [] ? 0 : 1, (await RunAsync(["verify", mistyped])).Code);
        }
    }

    [Theory]
    [LongData(StoreKind.Glance)]
    [InlineData(StoreKind.Elliptics)]
    public async Task The_folder_of_a_destination_that_has_one_beside_its_content_is_made(StoreKind kind)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(kind);
        await using (var source = await StartAsync())
            await PushAsync(source, "1", Pushes.Image(1));
        var (code, output) = await CopyAsync(Files, Config("other", store.Driver));
        Assert.True(code == 0 && output.Contains("1 repositories", StringComparison.Ordinal), output);
        Assert.True(Directory.Exists(store.NamesFolder));
    }

    private static Task<(int Code, string Output)> CopyAsync(string from, string to, params string[] options) =>
        RunAsync(["copy", "--from", from, "--to", to, .. options]);

    private static async Task<(int Code, string Output)> RunAsync(string[] command)
    {
        await using var written = new StringWriter(CultureInfo.InvariantCulture);
        var output = TextWriter.Synchronized(written);
        var code = await CommandLine.RunAsync(command, new Dictionary<string, string>(), output, output);
        return (code, written.ToString());
    }

    private static async Task PushAsync(MirrorProcess source, string tag, (byte[] Manifest, byte[][] Blobs) image) =>
        Assert.True(await Pushes.PushAsync(source, Name, tag, image.Manifest, image.Blobs));

    private static async Task PushIndexAsync(MirrorProcess source, string name, byte[] child)
    {
        var index = System.Text.Encoding.UTF8.GetBytes(
            $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}",
            "manifests":[{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{Digest.Of(child)}}","size":{{child.Length}} }]}
            """);
        using var content = new ByteArrayContent(index);
        content.Headers.ContentType = new(MediaTypes.OciIndex);
        using var answer = await Http.Client.PutAsync(new Uri(source.Url, $"/v2/{name}/manifests/all"), content, Cancel);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
    }

    private static async Task PushReferrerAsync(MirrorProcess source, TestImage subject)
    {
        var manifest = System.Text.Encoding.UTF8.GetBytes(
            $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","artifactType":"application/vnd.test.sbom","layers":[],
            "config":{"mediaType":"application/json","digest":"{{Digest.Of(subject.Config)}}","size":{{subject.Config.Length}} },
            "subject":{"mediaType":"{{MediaTypes.OciManifest}}","digest":"{{subject.Digest}}","size":{{subject.Manifest.Length}} } }
            """);
        using var content = new ByteArrayContent(manifest);
        content.Headers.ContentType = new(MediaTypes.OciManifest);
        using var answer = await Http.Client.PutAsync(new Uri(source.Url, $"/v2/{Name}/manifests/{Digest.Of(manifest)}"), content, Cancel);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
    }

    private Task<MirrorProcess> StartAsync(Uri? upstream = null) =>
        MirrorProcess.StartAsync(new MirrorSettings { Root = _folder.Folder("root"), Upstream = upstream });

    private async Task NoteAsync(Digest manifest)
    {
        Assert.True(RepositoryName.TryParse("acme/hello", out var name));
        await new FilePinStore(_folder["root"]).PinAsync(name, "1", Cancel);
        var dates = new FileDateStore(_folder["root"]);
        await dates.WriteAsync(RegistryLayout.FirstSeen(name, manifest), DateTimeOffset.UnixEpoch, Cancel);
        await dates.WriteAsync(RegistryLayout.DeletedAtUpstream(name, "1"), DateTimeOffset.UnixEpoch, Cancel);
    }

    private string FilesOf(string root) => $"  filesystem:\n    rootdirectory: {Path.Combine(_folder.Path, root)}\n";

    private string Config(string name, string driver) =>
        _folder.Write($"{name}.yml", $"version: 0.1\nstorage:\n{driver}http: {{addr: \"127.0.0.1:0\"}}\n");

    private void AssertSameFiles(string one, string other) => Assert.Equal(
        string.Join('\n', Tree(one).Except(Tree(other))), string.Join('\n', Tree(other).Except(Tree(one))));

    // Uploads are not copied, and neither is what a tag named before.
    private List<string> Tree(string root)
    {
        var top = Path.Combine(_folder.Path, root);
        var files = Copied.Select(folder => Path.Combine(top, folder)).Where(Directory.Exists)
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/_uploads/", StringComparison.Ordinal) && !file.Contains("/index/", StringComparison.Ordinal))
            .Select(file => $"{Path.GetRelativePath(top, file)} {Digest.Of(File.ReadAllBytes(file))}")
            .ToList();
        Assert.NotEmpty(files);
        return files;
    }
}
