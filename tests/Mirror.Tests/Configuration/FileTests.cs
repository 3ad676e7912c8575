using Mirror.Configuration;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary>Which file is read, and the configuration if there is none.</summary>
public sealed class FileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Without_a_file_it_is_a_mirror_of_Docker_Hub_on_localhost()
    {
        var loaded = LoadNothing();

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
        Assert.Null(loaded.File);
        Assert.Equal(DockerHub.Registry, loaded.Options.Proxy.RemoteUrl);
        Assert.Equal("localhost:5000", loaded.Options.Http.Addr);
        Assert.Equal("./mirror-data", loaded.Options.Storage.Filesystem.RootDirectory);
        Assert.Equal(["local/**"], loaded.Options.Hosted.Repositories);
    }

    [Fact]
    public void A_file_without_proxy_is_a_plain_registry() => Assert.Null(Load(VersionLine).Options.Proxy.RemoteUrl);

    [Fact]
    public void The_argument_comes_before_the_variable()
    {
        var (argument, variable) = (Write("argument"), Write("variable"));
        var environment = Environment(("REGISTRY_CONFIGURATION_PATH", variable));

        Assert.Equal(argument, MirrorConfiguration.Load(argument, environment).File);
        Assert.Equal(variable, MirrorConfiguration.Load(null, environment).File);
    }

    [Fact]
    public void A_named_file_that_does_not_exist_is_an_error()
    {
        var loaded = MirrorConfiguration.Load("/nowhere/config.yml", Environment());

        Assert.Equal(("/nowhere/config.yml", "does not exist"), (loaded.Source, Assert.Single(loaded.Errors)));
    }

    [Fact]
    public void A_folder_that_is_named_as_the_file_is_called_one()
    {
        var loaded = MirrorConfiguration.Load(_folder.FullName, Environment());

        Assert.Equal((_folder.FullName, "is a folder, not a file"), (loaded.Source, Assert.Single(loaded.Errors)));
    }

    [Fact]
    public void An_error_about_YAML_names_line_and_column()
    {
        var file = Write("broken", "version: 0.1\nhttp:\n  addr: [\n");

        var error = Assert.Single(MirrorConfiguration.Load(file, Environment()).Errors);

        Assert.Matches("^line [34], column [0-9]+: ", error);
    }

    [Theory]
    [InlineData("version: 0.1\nhttp:\n\taddr: :5000\n", 3)]
    [InlineData("version: 0.1\nstorage:\n  filesystem:\n\trootdirectory: /x\nhttp:\n  addr: :5000\n", 4)]
    [InlineData("version: 0.1\nhttp:\n  addr: :5000\n\tprefix: /x/\nlog:\n  level: info\n", 4)]
    public void A_tab_is_reported_at_its_own_line(string yaml, int line) =>
        Assert.Equal($"line {line}: it is indented with a tab, and YAML allows spaces only", Assert.Single(Load(yaml).Errors));

    [Fact]
    public void A_key_given_twice_is_an_error() => Assert.Contains("line 2", Assert.Single(Load("version: 0.1\nversion: 0.1\n").Errors));

    [Fact]
    public void A_list_given_twice_is_read_as_one_with_a_warning()
    {
        var loaded = Load("version: 0.1\nhosted:\n  repositories: [a/*]\n  repositories:\n    - b/*\n");

        Assert.Empty(loaded.Errors);
        Assert.Equal(["a/*", "b/*"], loaded.Options.Hosted.Repositories);
        Assert.Equal("repositories stands twice, the second time at line 4; the two lists are read as one", Assert.Single(loaded.Warnings));
    }

    [Fact]
    public void Values_behind_a_reference_may_be_equal()
    {
        var loaded = Load(
            "version: 0.1\nhttp: {host: &host \"https://a.example\"}\nproxy: {remoteurl: *host, username: same, password: same}\n");

        Assert.Empty(loaded.Errors);
        Assert.Equal(("same", "same"), (loaded.Options.Proxy.Username, loaded.Options.Proxy.Password));
    }

    [Fact]
    public void A_section_given_twice_is_an_error() =>
        Assert.Contains("line 3", Assert.Single(Load("version: 0.1\nhttp: {addr: \":1\"}\nhttp: {prefix: /x/}\n").Errors));

    [Fact]
    public void An_anchor_that_contains_itself_is_an_error() =>
        Assert.Contains("contains itself", Assert.Single(Load("log: &a {hooks: [*a]}").Errors));

    [Fact]
    public void The_configuration_of_the_registry_image_is_accepted()
    {
        var loaded = Load("""
            version: 0.1
            log:
              fields:
                service: registry
            storage:
              cache:
                blobdescriptor: inmemory
              filesystem:
                rootdirectory: /var/lib/registry
            http:
              addr: :5000
              headers:
                X-Content-Type-Options: [nosniff]
            health:
              storagedriver:
                enabled: true
                interval: 10s
                threshold: 3
            """);

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
        Assert.Equal((true, 3), (loaded.Options.Health.StorageDriver.Enabled, loaded.Options.Health.StorageDriver.Threshold));
        Assert.Equal("registry", loaded.Options.Log.Fields["service"]);
        Assert.Equal(["nosniff"], loaded.Options.Http.Headers["x-content-type-options"]);
    }

    private string Write(string name, string text = VersionLine)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }
}
