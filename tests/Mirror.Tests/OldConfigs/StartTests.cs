using System.Net;
using Amazon.S3.Model;
using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.OldConfigs;

/// <summary>Files and variables of docker-registry 0.x start as they are: a push, a pull, and the bytes where they say.</summary>
public sealed class StartTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public StartTests() => MirrorProcess.Availability.OrSkip();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_folder_with_old_images_takes_new_ones_beside_them()
    {
        _folder.Write("data/images/abc/json", "{}");
        _folder.Write("data/repositories/library/app/tag_latest", "abc");
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            File = """
                common: &common
                  loglevel: info
                dev:
                  <<: *common
                  debug: true
                  storage: local
                  storage_path: _env:STORAGE_PATH:/nowhere
                  cors: {origins: ["https://ui.example.org"], methods: [GET, HEAD, DELETE]}
                """,
            Environment = new Dictionary<string, string> { ["STORAGE_PATH"] = _folder["data"], ["REGISTRY_PORT"] = "tcp://10.0.0.1:5000" },
        });

        await AssertTakesAsync(registry);
        Assert.True(Directory.Exists(_folder["data", "docker", "registry", "v2", "repositories", "team", "app"]));
        Assert.True(File.Exists(_folder["data", "images", "abc", "json"]));

        using (var ping = await RoutesTests.GetAsync(registry, "/_ping"))
            Assert.Equal("dev", Assert.Single(ping.Headers.GetValues("X-Docker-Registry-Config")));
        using (var root = await RoutesTests.GetAsync(registry, "/"))
            Assert.Equal("\"\\u0022docker-registry server\\u0022\"", await root.Content.ReadAsStringAsync(Cancel));
        using (var search = await RoutesTests.GetAsync(registry, "/v1/search?q=app"))
            Assert.Contains("\"num_results\":0", await search.Content.ReadAsStringAsync(Cancel));

        using var preflight = new HttpRequestMessage(HttpMethod.Options, new Uri(registry.Url, "/v2/"));
        preflight.Headers.TryAddWithoutValidation("Origin", "https://ui.example.org");
        preflight.Headers.TryAddWithoutValidation("Access-Control-Request-Method", "DELETE");
        using var allowed = await Http.Client.SendAsync(preflight, Cancel);
        Assert.Equal(HttpStatusCode.NoContent, allowed.StatusCode);
        Assert.Equal("https://ui.example.org", Assert.Single(allowed.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Equal("GET, HEAD, DELETE", Assert.Single(allowed.Headers.GetValues("Access-Control-Allow-Methods")));
    }

    [Fact]
    public async Task Variables_alone_make_a_registry_in_a_bucket()
    {
        var store = await SharedRadosgw.OrSkipAsync();
        var root = $"old/{Guid.NewGuid():N}";
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            File = "",
            Environment = new Dictionary<string, string>
            {
                ["SETTINGS_FLAVOR"] = "s3",
                ["AWS_BUCKET"] = Radosgw.Bucket,
                ["STORAGE_PATH"] = $"/{root}",
                ["AWS_KEY"] = Radosgw.AccessKey,
                ["AWS_SECRET"] = Radosgw.SecretKey,
                ["SEARCH_BACKEND"] = "sqlalchemy",
                ["AWS_HOST"] = store.Url.Host,
                ["AWS_PORT"] = $"{store.Url.Port}",
                ["AWS_SECURE"] = "false",
                ["AWS_ENCRYPT"] = "false",
                ["AWS_DEBUG"] = "true",
                ["AWS_CALLING_FORMAT"] = "boto.s3.connection.OrdinaryCallingFormat",
            },
        });

        await AssertTakesAsync(registry);
        using (var search = await RoutesTests.GetAsync(registry, "/v1/search?q=app"))
            Assert.Contains("\"name\":\"team/app\"", await search.Content.ReadAsStringAsync(Cancel));
        using var client = store.Client();
        var listed = await client.ListObjectsV2Async(
            new ListObjectsV2Request { BucketName = Radosgw.Bucket, Prefix = $"{root}/docker/registry/v2/repositories/team/app/" }, Cancel);
        Assert.NotEmpty(listed.S3Objects);
    }

    [Fact]
    public async Task The_translation_of_a_refused_file_is_a_table_and_its_reason()
    {
        var file = _folder.Write("old.yml", "dev: {storage: local, storage_path: ./d, standalone: false}\n");

        await using var check = PeerProcess.Start("dotnet", [MirrorProcess.Program, "check-config"],
            new Dictionary<string, string> { ["DOCKER_REGISTRY_CONFIG"] = file });

        Assert.Equal(1, await check.ExitCodeAsync());
        Assert.Contains("# standalone    false  refused: the index that checked its tokens is gone", check.Output);
        Assert.Contains($"error: {file}, flavor dev of docker-registry 0.x: standalone: the index", check.Output);
    }

    [Theory]
    [InlineData("/var/lib/registry", "/tmp/registry", true)]
    [InlineData("/tmp/registry", "/tmp/registry", false)]
    [InlineData("/tmp/registry/v2", "/tmp/registry", false)]
    [InlineData("/var/lib/registry", "/tmp/other", false)]
    public void A_mount_of_the_old_folder_that_no_setting_names_is_told(string root, string mount, bool isTold)
    {
        var storage = new StorageOptions { Filesystem = { RootDirectory = root } };

        var warning = UnusedMount.Warning(storage, [$"36 35 98:0 /x {mount} rw,noatime master:1 - ext3 /dev/root rw"]);

        Assert.Equal(isTold, warning?.StartsWith("/tmp/registry is mounted, and no setting names it", StringComparison.Ordinal) == true);
    }

    private static async Task AssertTakesAsync(MirrorProcess registry)
    {
        var (manifest, blobs) = Pushes.Image(1);
        Assert.True(await Pushes.PushAsync(registry, "team/app", "1", manifest, blobs));
        await Pushes.AssertWholeAsync(registry, "team/app", "1", manifest, blobs);
    }
}
