using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mirror.Storage;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Import;

/// <summary><c>import-v1</c>: images of docker-registry 0.x become images that clients of today pull.</summary>
public sealed class ImportTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly V1Storage _old;

    public ImportTests()
    {
        MirrorProcess.Availability.OrSkip();
        _old = new V1Storage(_folder.Folder("old"));
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Clients_of_today_pull_what_was_imported_with_the_same_layers_and_settings()
    {
        Skopeo.Availability.OrSkip();
        var (below, middle, top) = ThreeImages();
        _old.Tag("library/shop", "latest", top);
        _old.Tag("library/shop", "base", below);
        _old.Tag("team/tool", "1.0", middle);
        var before = _old.Files();
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());

        var (code, output) = await ImportAsync(registry, _old.Root);

        Assert.Equal(0, code);
        Assert.Contains("library/shop:latest -> shop:latest: sha256:", output);
        Assert.Contains("3 images are imported, 0 are not", output);
        Assert.Equal(before, _old.Files());
        using var skopeo = new Skopeo();
        var pulled = await skopeo.PullAsync($"{registry.Authority}/shop:latest");
        using var manifest = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(pulled, "manifest.json"), Cancel));
        var blobs = manifest.RootElement.GetProperty("layers").EnumerateArray()
            .Select(layer => File.ReadAllBytes(Path.Combine(pulled, Hex(layer.GetProperty("digest"))))).ToList();
        // The compressed ones as they were, and the plain one with the same content.
        Assert.Equal(_old.LayerOf(below), blobs[0]);
        Assert.Equal(_old.LayerOf(middle), Plain(blobs[1]));
        Assert.Equal(_old.LayerOf(top), blobs[2]);
        using var config = JsonDocument.Parse(await File.ReadAllTextAsync(
            Path.Combine(pulled, Hex(manifest.RootElement.GetProperty("config").GetProperty("digest"))), Cancel));
        Assert.Equal(
            [.. new[] { Plain(blobs[0]), Plain(blobs[1]), Plain(blobs[2]) }.Select(plain => Digest.Of(plain).ToString())],
            config.RootElement.GetProperty("rootfs").GetProperty("diff_ids").EnumerateArray().Select(id => id.GetString()!));
        using var json = JsonDocument.Parse(await File.ReadAllTextAsync(_old.PathOf(top, "json"), Cancel));
        Assert.True(JsonElement.DeepEquals(json.RootElement.GetProperty("config"), config.RootElement.GetProperty("config")));
        Assert.Equal(
            ["/bin/sh -c one", "/bin/sh -c two", "/bin/sh -c three"],
            config.RootElement.GetProperty("history").EnumerateArray().Select(step => step.GetProperty("created_by").GetString()!));
        Assert.False(config.RootElement.TryGetProperty("parent", out _));

        // Neither a garbage collection nor another run changes anything.
        await registry.CollectAsync("-m");
        (code, output) = await ImportAsync(registry, _old.Root);
        Assert.Equal(0, code);
        Assert.Contains("was imported before", output);
        _ = await skopeo.PullAsync($"{registry.Authority}/team/tool:1.0");
    }

    [Fact]
    public async Task Docker_shows_what_the_old_settings_say()
    {
        Dockerd.Availability.OrSkip();
        var (_, _, top) = ThreeImages();
        _old.Tag("library/shop", "latest", top);
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());
        Assert.Equal(0, (await ImportAsync(registry, _old.Root)).Code);
        await using var dockerd = await Dockerd.StartAsync(registry.Url);

        await dockerd.PullAsync($"{registry.Authority}/shop:latest");

        var name = $"{registry.Authority}/shop:latest";
        Assert.Equal(
            """["/app","three"] ["/entry","<&+>"] ["PATH=/usr/bin:/bin","STEP=three"] ann <ann@example.org>""",
            (await dockerd.RunAsync("inspect", "-f",
                "{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Env}} {{.Author}}", name))
                .Trim().Replace("\\u003c", "<", StringComparison.Ordinal).Replace("\\u003e", ">", StringComparison.Ordinal)
                .Replace("\\u0026", "&", StringComparison.Ordinal));
        var history = (await dockerd.RunAsync("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", name))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["/bin/sh -c three|step three", "/bin/sh -c two|step two", "/bin/sh -c one|step one"], history);
    }

    [Fact]
    public async Task A_run_that_was_killed_is_finished_by_the_next_one()
    {
        string? parent = null;
        for (var i = 0; i < 30; i++)
        {
            var files = Files($"file {i}", new string((char)('a' + i % 26), 200_000));
            parent = _old.AddImage(parent, $"step {i}", files, isCompressed: i % 2 == 0);
            _old.Tag("team/app", $"{i}", parent);
        }
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());

        await using (var killed = PeerProcess.Start("dotnet", [MirrorProcess.Program, "import-v1", _old.Root, registry.ConfigFile]))
        {
            await Until.TrueAsync(
                () => killed.Lines.Any(line => line.Contains("team/app:", StringComparison.Ordinal)), () => killed.Output);
            await killed.KillAsync();
        }
        var (code, output) = await ImportAsync(registry, _old.Root);

        Assert.Equal(0, code);
        Assert.Contains("30 images are imported, 0 are not", output);
        await AssertPullsAsync(registry, "team/app", "29", 30);
    }

    [Fact]
    public async Task What_cannot_be_imported_is_named_with_the_reason()
    {
        var whole = _old.AddImage(null, "whole", Files("a", "a"));
        var damaged = _old.AddImage(null, "damaged", Files("b", "b"));
        await File.WriteAllBytesAsync(_old.PathOf(damaged, "layer"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 77, 77], Cancel);
        var unfinished = _old.AddImage(null, "unfinished", Files("c", "c"));
        await File.WriteAllTextAsync(_old.PathOf(unfinished, "_inprogress"), "true", Cancel);
        _old.Tag("team/app", "whole", whole);
        _old.Tag("team/app", "damaged", damaged);
        _old.Tag("team/app", "unfinished", unfinished);
        _old.Tag("team/app", "outside", "../../etc");
        _old.Tag("team/app", "pushed", whole);
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());
        var (manifest, blobs) = Pushes.Image(1);
        Assert.True(await Pushes.PushAsync(registry, "team/app", "pushed", manifest, blobs));

        var (listCode, list) = await ImportAsync(registry, _old.Root, "--dry-run");
        var (code, output) = await ImportAsync(registry, _old.Root);

        Assert.Equal((6, 6), (listCode, code));
        Assert.Contains("team/app:whole -> team/app:whole: would be imported, 1 layers", list);
        Assert.Contains("team/app:damaged: not imported: ", output);
        Assert.Contains($"team/app:unfinished: not imported: the push of image {unfinished} has not ended", output);
        Assert.Contains("team/app:outside: not imported: \"../../etc\" is no id of an image", output);
        Assert.Contains("team/app:pushed exists, and is another image", output);
        Assert.Contains("1 images are imported, 4 are not", output);
        await Pushes.AssertWholeAsync(registry, "team/app", "pushed", manifest, blobs);
    }

    [Theory]
    [InlineData("\"2014-05-01T10:00:00\"", "2014-05-01T10:00:00Z")]
    [InlineData("\"2014-05-01T10:00:00.25+02:00\"", "2014-05-01T10:00:00.25+02:00")]
    [InlineData("\"yesterday\"", null)]
    [InlineData("1398938400", null)]
    public async Task Each_date_of_an_imported_image_is_one_that_clients_read(string old, string? expected)
    {
        Skopeo.Availability.OrSkip();
        var id = _old.AddImage(null, "one", Files("a", "a"));
        var json = JsonNode.Parse(await File.ReadAllTextAsync(_old.PathOf(id, "json"), Cancel))!;
        json["created"] = JsonNode.Parse(old);
        await File.WriteAllTextAsync(_old.PathOf(id, "json"), json.ToJsonString(), Cancel);
        _old.Tag("team/app", "1", id);
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());

        var (code, _) = await ImportAsync(registry, _old.Root);

        Assert.Equal(0, code);
        using var skopeo = new Skopeo();
        var pulled = await skopeo.PullAsync($"{registry.Authority}/team/app:1");
        using var manifest = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(pulled, "manifest.json"), Cancel));
        var config = JsonNode.Parse(await File.ReadAllTextAsync(
            Path.Combine(pulled, Hex(manifest.RootElement.GetProperty("config").GetProperty("digest"))), Cancel))!;
        Assert.Equal(expected, config["created"]?.GetValue<string>());
        Assert.Equal(expected, config["history"]![0]!["created"]?.GetValue<string>());
    }

    [Fact]
    public async Task A_mirror_takes_the_images_where_clients_may_push()
    {
        var id = _old.AddImage(null, "one", Files("a", "a"));
        _old.Tag("library/shop", "latest", id);
        await using var mirror = await MirrorProcess.StartAsync(new Uri("http://127.0.0.1:1"));

        var (code, output) = await ImportAsync(mirror, _old.Root);
        Assert.Equal(6, code);
        Assert.Contains("clients cannot push to shop; add it to hosted.repositories", output);
        (code, output) = await ImportAsync(mirror, _old.Root, "--into", "local");
        Assert.Equal(0, code);
        Assert.Contains("library/shop:latest -> local/shop:latest", output);
        await AssertPullsAsync(mirror, "local/shop", "latest", 1);
    }

    [Fact]
    public async Task The_old_storage_may_be_a_bucket_that_the_old_file_names()
    {
        var store = await SharedRadosgw.OrSkipAsync();
        var prefix = $"v1/{Guid.NewGuid():N}";
        var (_, _, top) = ThreeImages();
        _old.Tag("team/app", "1", top);
        using (var client = store.Client())
            foreach (var file in Directory.EnumerateFiles(_old.Root, "*", SearchOption.AllDirectories))
                await client.PutObjectAsync(
                    new Amazon.S3.Model.PutObjectRequest
                    {
                        BucketName = Radosgw.Bucket,
                        Key = $"{prefix}/{Path.GetRelativePath(_old.Root, file)}",
                        FilePath = file,
                        UseChunkEncoding = false,
                    },
                    Cancel);
        var old = _folder.Write("old.yml", $$"""
            prod:
              storage: s3
              boto_bucket: {{Radosgw.Bucket}}
              storage_path: /{{prefix}}
              s3_access_key: {{Radosgw.AccessKey}}
              s3_secret_key: {{Radosgw.SecretKey}}
              boto_host: {{store.Url.Host}}
              boto_port: {{store.Url.Port}}
              s3_secure: false
              s3_encrypt: false
              boto_calling_format: boto.s3.connection.OrdinaryCallingFormat
              standalone: false
            """);
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings());

        var result = await PeerProcess.RunAsync("dotnet", [MirrorProcess.Program, "import-v1", "--from", old, registry.ConfigFile]);

        Assert.Contains("1 images are imported, 0 are not", result);
        await AssertPullsAsync(registry, "team/app", "1", 3);
    }

    private (string Below, string Middle, string Top) ThreeImages()
    {
        var below = _old.AddImage(null, "one", Files("etc/one", "first"));
        var middle = _old.AddImage(below, "two", Files("etc/two", new string('x', 300_000)), isCompressed: false);
        return (below, middle, _old.AddImage(middle, "three", Files("etc/three", "third")));
    }

    private static Dictionary<string, string> Files(string path, string text) => new() { [path] = text };

    private static async Task<(int Code, string Output)> ImportAsync(MirrorProcess registry, string root, params string[] options)
    {
        await using var process = PeerProcess.Start(
            "dotnet", [MirrorProcess.Program, "import-v1", .. options, root, registry.ConfigFile]);
        return (await process.ExitCodeAsync(), process.Output);
    }

    private static async Task AssertPullsAsync(MirrorProcess registry, string name, string tag, int layers)
    {
        using var response = await registry.GetAsync($"{name}/manifests/{tag}");
        using var manifest = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(Cancel));
        var blobs = manifest.RootElement.GetProperty("layers").EnumerateArray().Append(manifest.RootElement.GetProperty("config")).ToList();
        Assert.Equal(layers + 1, blobs.Count);
        foreach (var digest in blobs.Select(blob => blob.GetProperty("digest").GetString()!))
        {
            using var blob = await registry.GetAsync($"{name}/blobs/{digest}");
            Assert.Equal(digest, Digest.Of(await blob.Content.ReadAsByteArrayAsync(Cancel)).ToString());
        }
    }

    private static string Hex(JsonElement digest) => digest.GetString()!.Split(':')[1];

    private static byte[] Plain(byte[] compressed)
    {
        using var plain = new MemoryStream();
        using (var gzip = new GZipStream(new MemoryStream(compressed), CompressionMode.Decompress))
            gzip.CopyTo(plain);
        return plain.ToArray();
    }
}
