using Google.Apis.Auth.OAuth2;
using Google.Cloud.Storage.V1;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Elliptics;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.Resilience;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedGlance))]

namespace Mirror.Tests.OldConfigs;

/// <summary>
/// Files of docker-registry 0.x over the stores that they name: a push, a pull, and the bytes where the file says. Over S3:
/// <see cref="StartTests"/>.
/// </summary>
public sealed class StoresTests
{
    private static readonly (byte[] Manifest, byte[][] Blobs) Image = Pushes.Image(1);

    public StoresTests() => MirrorProcess.Availability.OrSkip();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Google_lets_in_by_its_default_credentials()
    {
        var store = await SharedGoogleStorage.GetAsync();
        using var folder = new TempFolder();
        var root = $"old/{Guid.NewGuid():N}";
        await using var registry = await StartAsync($$"""
            dev:
              storage: gcs
              boto_bucket: "_env:GCS_BUCKET:{{GoogleStorage.Bucket}}"
              storage_path: /{{root}}
              oauth2: true
            """,
            ("GOOGLE_APPLICATION_CREDENTIALS", folder.Write("key.json", store.KeyFile())),
            ("REGISTRY_STORAGE_GCS_ENDPOINT", store.Url.ToString()));

        await AssertTakesAsync(registry);

        using var client = new StorageClientBuilder
        {
            BaseUri = store.ApiUrl.OriginalString,
            GoogleCredential = CredentialFactory.FromJson<ServiceAccountCredential>(store.KeyFile()).ToGoogleCredential(),
        }.Build();
        Assert.NotEmpty(client.ListObjects(GoogleStorage.Bucket, $"{root}/docker/registry/v2/repositories/team/app/"));
    }

    [Fact]
    public async Task Azure_has_the_images_at_the_top_of_the_container()
    {
        Assert.SkipUnless(Figures.Full, "only with MIRROR_TESTS=full");
        var store = await SharedAzurite.OrSkipAsync();
        var container = $"old{Guid.NewGuid():N}";
        await using var registry = await StartAsync($$"""
            prod:
              storage: azureblob
              azure_storage_account_name: _env:AZURE_STORAGE_ACCOUNT_NAME:{{Azurite.Account}}
              azure_storage_account_key: _env:AZURE_STORAGE_ACCOUNT_KEY
              azure_storage_container: {{container}}
              azure_use_https: false
            """,
            ("AZURE_STORAGE_ACCOUNT_KEY", Azurite.Key),
            ("REGISTRY_STORAGE_AZURE_SERVICEURL", store.Client().Uri.GetLeftPart(UriPartial.Authority) + $"/{Azurite.Account}"));

        await AssertTakesAsync(registry);

        var names = await store.Client(container).GetBlobsAsync(cancellationToken: Cancel).Select(blob => blob.Name).ToListAsync(Cancel);
        Assert.Contains(names, name => name.TrimStart('/').StartsWith("docker/registry/v2/blobs/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Swift_has_the_images_below_the_path()
    {
        Assert.SkipUnless(Figures.Full, "only with MIRROR_TESTS=full");
        var store = await SharedSwift.OrSkipAsync();
        var container = $"old{Guid.NewGuid():N}";
        await using var registry = await StartAsync($$"""
            dev:
              storage: swift
              storage_path: /images
              swift_authurl: _env:OS_AUTH_URL
              swift_container: _env:OS_CONTAINER:{{container}}
              swift_user: _env:OS_USERNAME
              swift_password: _env:OS_PASSWORD
            """,
            ("OS_AUTH_URL", store.AuthUrl.ToString()), ("OS_USERNAME", Swift.User), ("OS_PASSWORD", Swift.Password));

        await AssertTakesAsync(registry);

        Assert.Contains(
            await store.NamesAsync(container), name => name.StartsWith("images/files/docker/registry/v2/blobs/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Glance_has_the_content_and_a_folder_has_the_rest()
    {
        var store = await SharedGlance.OrSkipAsync();
        using var folder = new TempFolder();
        await using var registry = await StartAsync($$"""
            dev:
              storage: glance
              storage_alternate: file
              storage_path: {{folder["glance-rest"]}}
            """,
            ("OS_GLANCE_URL", store.Url.ToString()));

        await AssertTakesAsync(registry);

        var images = await store.ImagesAsync(await File.ReadAllTextAsync(folder["glance-rest", "mirror", "glance"], Cancel));
        Assert.Equal(
            Image.Blobs.Append(Image.Manifest).Select(bytes => (RegistryLayout.BlobData(Digest.Of(bytes)), "active")).Order(),
            images.Order());
        Assert.True(File.Exists(folder["glance-rest", RegistryLayout.TagCurrent(RepositoryName.Parse("team/app"), "1")]));
    }

    [Fact]
    public async Task Glance_has_the_content_and_Swift_has_the_rest()
    {
        Assert.SkipUnless(Figures.Full, "only with MIRROR_TESTS=full");
        var swift = await SharedSwift.OrSkipAsync();
        var store = await SharedGlance.OrSkipAsync();
        var container = $"old{Guid.NewGuid():N}";
        await using var registry = await StartAsync($$"""
            dev:
              storage: glance
              storage_alternate: swift
              storage_path: /images
              swift_authurl: _env:OS_AUTH_URL
              swift_container: _env:OS_CONTAINER:{{container}}
              swift_user: _env:OS_USERNAME
              swift_password: _env:OS_PASSWORD
            """,
            ("OS_AUTH_URL", swift.AuthUrl.ToString()), ("OS_USERNAME", Swift.User), ("OS_PASSWORD", Swift.Password),
            ("OS_GLANCE_URL", store.Url.ToString()));

        await AssertTakesAsync(registry);

        Assert.Contains(await swift.NamesAsync(container), name => name is "images/files/mirror/glance");
    }

    [Fact]
    public async Task Elliptics_has_the_content_and_a_folder_has_the_rest()
    {
        await using var rift = await RiftStandIn.StartAsync(RiftRelease.ByPath);
        using var folder = new TempFolder();
        await using var registry = await StartAsync($$"""
            dev:
              storage: elliptics
              storage_path: {{folder["rest"]}}
              elliptics_nodes: {ell-one.example: 1025, ell-two.example: 1025}
              elliptics_groups: [1, 2]
              elliptics_wait_timeout: 30
            """,
            ("REGISTRY_STORAGE_ELLIPTICS_ENDPOINTS", $"[{rift.Url}]"));

        await AssertTakesAsync(registry);

        Assert.Equal(Image.Blobs.Length + 1, rift.Count);
        Assert.True(File.Exists(folder["rest", RegistryLayout.TagCurrent(RepositoryName.Parse("team/app"), "1")]));
    }

    [Fact]
    public void Oss_is_set_up_by_variables_alone()
    {
        var loaded = MirrorConfiguration.Load(null, new Dictionary<string, string>
        {
            ["SETTINGS_FLAVOR"] = "oss",
            ["OSS_HOST"] = "oss-cn-beijing.aliyuncs.com",
            ["OSS_BUCKET"] = "images",
            ["OSS_KEY"] = "k",
            ["OSS_SECRET"] = "s",
        });

        Assert.Empty(loaded.Errors.Concat(loaded.Warnings));
        var oss = loaded.Options.Storage.Oss!;
        Assert.Equal(
            ("oss-cn-beijing", "images", "k", "s", "/registry/"),
            (oss.Region, oss.Bucket, oss.AccessKeyId, oss.AccessKeySecret, oss.RootDirectory));
    }

    private static Task<MirrorProcess> StartAsync(string file, params (string Name, string Value)[] environment) =>
        MirrorProcess.StartAsync(new MirrorSettings
        {
            File = file,
            Environment = environment.ToDictionary(variable => variable.Name, variable => variable.Value),
        });

    private static async Task AssertTakesAsync(MirrorProcess registry)
    {
        Assert.True(await Pushes.PushAsync(registry, "team/app", "1", Image.Manifest, Image.Blobs));
        await Pushes.AssertWholeAsync(registry, "team/app", "1", Image.Manifest, Image.Blobs);
    }
}
