using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary><c>REGISTRY_A_B_C=v</c> overrides <c>a.b.c</c>.</summary>
public sealed class EnvironmentTests
{
    [Fact]
    public void A_variable_overrides_the_file() =>
        Assert.Equal(":6000", Load(VersionLine + "http: {addr: \":5000\"}", ("REGISTRY_HTTP_ADDR", ":6000")).Options.Http.Addr);

    [Fact]
    public void A_key_with_an_underscore_can_be_set() =>
        Assert.Equal(TimeSpan.FromHours(1), LoadNothing(("REGISTRY_PROXY_TAGS_CACHE_TTL", "1h")).Options.Proxy.TagsCacheTtl);

    [Fact]
    public void A_whole_section_replaces_that_of_the_file_and_comes_before_its_keys()
    {
        var loaded = Load(
            VersionLine + "storage: {filesystem: {maxthreads: 50}, delete: {enabled: true}}",
            ("REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS", "60"),
            ("REGISTRY_STORAGE", "{filesystem: {rootdirectory: /x}}"));

        Assert.Equal("60", loaded.Values["storage:filesystem:maxthreads"]);
        Assert.Equal(("/x", false), (loaded.Options.Storage.Filesystem.RootDirectory, loaded.Options.Storage.Delete.Enabled));
    }

    [Fact]
    public void A_driver_can_be_chosen_by_its_name_alone()
    {
        var chosen = Load(VersionLine, ("REGISTRY_STORAGE", "filesystem"), ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/x"));
        Assert.Equal("/x", chosen.Options.Storage.Filesystem.RootDirectory);
        Assert.Empty(chosen.Errors);

        var inMemory = Load(VersionLine, ("REGISTRY_STORAGE", "inmemory"));
        Assert.Empty(inMemory.Errors);
        Assert.NotNull(inMemory.Options.Storage.InMemory);
        Assert.StartsWith("storage.gcs.bucket: ", Assert.Single(Load(VersionLine, ("REGISTRY_STORAGE", "gcs")).Errors));
    }

    [Fact]
    public void List_entries_are_set_by_index()
    {
        var loaded = Load(
            VersionLine + "hosted: {repositories: [a/**, b/**]}",
            ("REGISTRY_HOSTED_REPOSITORIES_1", "c/**"),
            ("REGISTRY_HOSTED_REPOSITORIES_2", "**"));

        Assert.Equal(["a/**", "c/**", "**"], loaded.Options.Hosted.Repositories);
    }

    [Theory]
    [InlineData("REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES", "true", "notifications:events:includereferences")]
    [InlineData("REGISTRY_HEALTH_FILECHECKERS_0_FILE", "/down", "health:file:0:file")]
    [InlineData("REGISTRY_HEALTH_HTTPCHECKERS_0_URI", "http://x/", "health:http:0:uri")]
    [InlineData("REGISTRY_HEALTH_TCPCHECKERS_0_ADDR", "x:1", "health:tcp:0:addr")]
    [InlineData("REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_ADDR", "x:25", "log:hooks:0:options:smtp:addr")]
    [InlineData("REGISTRY_COMPATIBILITY_SCHEMA1_TRUSTKEY", "/key", "compatibility:schema1:signingkeyfile")]
    [InlineData("REGISTRY_REDIS_OPTIONS_CLIENTNAME", "me", "redis:clientname")]
    [InlineData("REGISTRY_REDIS_OPTIONS_ADDRS", "[x:6379]", "redis:addrs:0")]
    [InlineData("REGISTRY_REDIS_OPTIONS_ADDRS_0", "x:6379", "redis:addrs:0")]
    public void A_variable_may_have_the_name_of_the_registrys_field(string variable, string text, string path)
    {
        var loaded = LoadNothing((variable, text));

        Assert.Equal(text.Trim('[', ']'), loaded.Values[path]);
        Assert.DoesNotContain(loaded.Warnings, warning => warning.Contains(variable, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("REGISTRY_REDIS_OPTIONS")]
    [InlineData("REGISTRY_REDIS_OPTIONS_FROBNICATE")]
    [InlineData("REGISTRY_HTTP_OPTIONS_ADDR")]
    public void A_field_that_the_registry_does_not_have_causes_a_warning(string variable) =>
        Assert.StartsWith(variable + " ", Assert.Single(LoadNothing((variable, "x")).Warnings));

    [Fact]
    public void A_mistake_is_reported_with_the_variable_that_has_it()
    {
        var loaded = LoadNothing(("REGISTRY_REDIS_OPTIONS_DB", "x"));

        Assert.Equal("REGISTRY_REDIS_OPTIONS_DB", loaded.VariableOf(Assert.Single(loaded.Errors)));
    }

    [Fact]
    public void A_list_may_have_more_than_ten_entries()
    {
        var loaded = Load(
            VersionLine,
            [
                .. Enumerable.Range(0, 12).SelectMany<int, (string, string)>(i =>
                [
                    ($"REGISTRY_PROXY_UPSTREAMS_{i}_NAME", $"n{i}.example"),
                    ($"REGISTRY_PROXY_UPSTREAMS_{i}_REMOTEURL", $"https://n{i}.example"),
                ]),
                .. Enumerable.Range(0, 101).Select(i => ($"REGISTRY_HOSTED_REPOSITORIES_{i}", $"n{i}/**")),
            ]);

        Assert.Empty(loaded.Errors);
        Assert.Equal(Enumerable.Range(0, 12).Select(i => $"n{i}.example"), loaded.Options.Proxy.Upstreams.Select(one => one.Name));
        Assert.Equal(Enumerable.Range(0, 101).Select(i => $"n{i}/**"), loaded.Options.Hosted.Repositories);
    }

    [Fact]
    public void A_mistyped_variable_gets_a_neighbour_in_its_section() => Assert.Contains(
        "REGISTRY_STORAGE_AZURE_ACCOUNT_NAME stands for no known key and is ignored; "
            + "nearest known variable: REGISTRY_STORAGE_AZURE_ACCOUNTNAME",
        Load(VersionLine + "storage: {azure: {accountname: a, container: c}}", ("REGISTRY_STORAGE_AZURE_ACCOUNT_NAME", "x")).Warnings);

    [Fact]
    public void An_index_after_the_next_free_one_is_an_error() =>
        Assert.StartsWith(
            "REGISTRY_HOSTED_REPOSITORIES_4: ", Assert.Single(Load(VersionLine, ("REGISTRY_HOSTED_REPOSITORIES_4", "a")).Errors));

    [Fact]
    public void Entries_under_a_map_can_be_set()
    {
        var options = Load(
            VersionLine + "http: {headers: {X-One: one}}",
            ("REGISTRY_HTTP_HEADERS_X-One", "[two]"),
            ("REGISTRY_LOG_FIELDS_DATA_CENTRE", "north")).Options;

        Assert.Equal(["two"], Assert.Single(options.Http.Headers).Value);
        Assert.Equal("north", options.Log.Fields["data_centre"]);
    }

    [Theory]
    [InlineData("#1")]
    [InlineData("a: b")]
    [InlineData("*star")]
    [InlineData("{brace")]
    public void A_password_is_text_even_if_YAML_has_a_meaning_for_it(string password) =>
        Assert.Equal(password, LoadNothing(("REGISTRY_PROXY_PASSWORD", password)).Options.Proxy.Password);

    [Fact]
    public void An_empty_variable_removes_a_value() => Assert.Null(LoadNothing(("REGISTRY_PROXY_REMOTEURL", "")).Options.Proxy.RemoteUrl);

    [Theory]
    [InlineData("REGISTRY_PROXY_SERVICE_HOST")]
    [InlineData("REGISTRY_AUTH_PORT_443_TCP_ADDR")]
    [InlineData("REGISTRY_PORT_5000_TCP")]
    [InlineData("REGISTRY_HTTP_")]
    public void A_variable_that_stands_for_no_known_key_causes_a_warning(string variable) =>
        Assert.StartsWith(variable + " ", Assert.Single(LoadNothing((variable, "x")).Warnings));

    [Fact]
    public void The_images_default_for_the_drain_gives_way_to_every_setting()
    {
        (string, string) image = ("MIRROR_DEFAULT_DRAINTIMEOUT", "7s");
        Assert.Equal(TimeSpan.FromSeconds(7), Load(VersionLine, image).Options.Http.DrainTimeout);
        Assert.Equal(TimeSpan.FromSeconds(60), Load(VersionLine + "http: {draintimeout: 60s}", image).Options.Http.DrainTimeout);
        Assert.Equal(TimeSpan.FromSeconds(50), Load(VersionLine, image, ("REGISTRY_HTTP_DRAINTIMEOUT", "50s")).Options.Http.DrainTimeout);
    }

    [Fact]
    public void A_mistyped_variable_gets_its_nearest_key()
    {
        Assert.EndsWith("; nearest known variable: REGISTRY_PROXY_REMOTEURL",
            Assert.Single(LoadNothing(("REGISTRY_PROXY_REMOTURL", "x")).Errors));
        Assert.EndsWith("; nearest known variable: REGISTRY_HTTP_DRAINTIMEOUT",
            Assert.Single(LoadNothing(("REGISTRY_HTTP_DRAINTIMOUT", "x")).Warnings));
        Assert.EndsWith(" is ignored", Assert.Single(LoadNothing(("REGISTRY_PORT_5000_TCP", "x")).Warnings));
    }

    [Theory]
    [InlineData("REGISTRY_PROXY_REMOTE_URL", "REGISTRY_PROXY_REMOTEURL")]
    [InlineData("REGISTRY_HTTP_TLS_CERT", "REGISTRY_HTTP_TLS_CERTIFICATE")]
    [InlineData("REGISTRY_HTTP_ADDRESS", "REGISTRY_HTTP_ADDR")]
    [InlineData("REGISTRY_HTTP_ADR", "REGISTRY_HTTP_ADDR")]
    [InlineData("REGISTRY_HTTP_LISTEN", "REGISTRY_HTTP_ADDR")]
    [InlineData("REGISTRY_HTTP_HOST_PORT", "REGISTRY_HTTP_ADDR")]
    [InlineData("REGISTRY_HTTP_PORT", "REGISTRY_HTTP_ADDR")]
    [InlineData("REGISTRY_AUTH_FILE", "REGISTRY_AUTH_HTPASSWD_PATH")]
    [InlineData("REGISTRY_STORAGE_FILESYSTEM_ROOTDIR", "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY")]
    public void A_mistyped_variable_that_is_unsafe_to_ignore_prevents_a_start(string variable, string right) => Assert.Equal(
        $"{variable} stands for no known key, and ignoring it would not be safe; nearest known variable: {right}",
        Assert.Single(Load(VersionLine, (variable, "x")).Errors));

    [Theory]
    [InlineData("REGISTRY_AUTH_HTPASSWD_FILE", "REGISTRY_AUTH_HTPASSWD_PATH")]
    [InlineData("REGISTRY_HTPASSWD_PATH", "REGISTRY_AUTH_HTPASSWD_PATH")]
    [InlineData("REGISTRY_HTPASSWD_REALM", "REGISTRY_AUTH_HTPASSWD_REALM")]
    [InlineData("REGISTRY_REMOTEURL", "REGISTRY_PROXY_REMOTEURL")]
    [InlineData("REGISTRY_PROXY_URL", "REGISTRY_PROXY_REMOTEURL")]
    [InlineData("REGISTRY_STORAGE_FILESYSTEM_PATH", "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY")]
    [InlineData("REGISTRY_TLS_CERTIFICATE", "REGISTRY_HTTP_TLS_CERTIFICATE")]
    [InlineData("REGISTRY_TLS_CERT", "REGISTRY_HTTP_TLS_CERTIFICATE")]
    [InlineData("REGISTRY_AUTHENTICATION_HTPASSWD_PATH", "REGISTRY_AUTH_HTPASSWD_PATH")]
    public void A_variable_prevents_a_start_where_the_same_key_in_a_file_does(string variable, string right) => Assert.Equal(
        $"{variable} stands for no known key, and ignoring it would not be safe; nearest known variable: {right}",
        Assert.Single(Load(VersionLine, (variable, "/x")).Errors));

    // What the server is does not depend on it, or other programs have a variable of this name.
    [Theory]
    [InlineData("REGISTRY_DELETE_ENABLED", "REGISTRY_STORAGE_DELETE_ENABLED")]
    [InlineData("REGISTRY_USERNAME", "REGISTRY_PROXY_USERNAME")]
    [InlineData("REGISTRY_TLS_VERIFY", null)]
    [InlineData("REGISTRY_HTTP_PORT", null, "tcp://10.0.0.1:80")]
    [InlineData("REGISTRY_STORAGE_NAME", null, "/app/registry-storage")]
    [InlineData("REGISTRY_STORAGE_SERVICE_PORT_HTTP", null)]
    [InlineData("REGISTRY_PORT", null)]
    [InlineData("REGISTRY_NAME", null)]
    [InlineData("REGISTRY_REDIS_HOST", "REGISTRY_REDIS_ADDR")]
    [InlineData("REGISTRY_REDIS_PORT", "REGISTRY_REDIS_ADDR", "6379")]
    [InlineData("REGISTRY_REDIS_ADRESS", "REGISTRY_REDIS_ADDR")]
    public void A_variable_that_is_safe_to_ignore_causes_a_warning(string variable, string? right, string value = "x")
    {
        var loaded = Load(VersionLine, (variable, value));
        Assert.Empty(loaded.Errors);
        Assert.EndsWith(
            right is null ? $"{variable} stands for no known key and is ignored" : $"; nearest known variable: {right}",
            Assert.Single(loaded.Warnings));
    }

    [Theory]
    [InlineData("REGISTRY_PROXY_URL", "proxy: {remoteurl: https://x}")]
    [InlineData("REGISTRY_STORAGE_FILESYSTEM_PATH", "storage: {filesystem: {rootdirectory: /x}}")]
    [InlineData("REGISTRY_HTTP_ADDRESS", "http: {addr: localhost:5000}")]
    public void A_section_that_has_its_main_key_is_what_it_was_meant_to_be(string variable, string yaml)
    {
        var loaded = Load(VersionLine + yaml, (variable, "https://y"));
        Assert.Empty(loaded.Errors);
        Assert.StartsWith($"{variable} stands for no known key and is ignored", Assert.Single(loaded.Warnings));
    }

    [Fact]
    public void A_section_that_is_not_YAML_is_an_error_that_hides_its_text()
    {
        var error = Assert.Single(Load(VersionLine, ("REGISTRY_PROXY", "{password: hunter2")).Errors);

        Assert.StartsWith("REGISTRY_PROXY: ", error);
        Assert.DoesNotContain("hunter2", error);
    }
}
