using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary><c>REGISTRY_A_B_C=v</c> over <c>a.b.c</c>.</summary>
public sealed class EnvironmentTests
{
    [Fact]
    public void A_variable_goes_before_the_file() =>
        Assert.Equal(":6000", Load(VersionLine + "http: {addr: \":5000\"}", ("REGISTRY_HTTP_ADDR", ":6000")).Options.Http.Addr);

    [Fact]
    public void A_key_with_an_underscore_can_be_given() =>
        Assert.Equal(TimeSpan.FromHours(1), LoadNothing(("REGISTRY_PROXY_TAGS_CACHE_TTL", "1h")).Options.Proxy.TagsCacheTtl);

    [Fact]
    public void A_section_given_whole_stands_in_place_of_the_file_s_and_comes_before_its_fields()
    {
        var storage = Load(
            VersionLine + "storage: {filesystem: {maxthreads: 50}, delete: {enabled: true}}",
            ("REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS", "60"),
            ("REGISTRY_STORAGE", "{filesystem: {rootdirectory: /x}}")).Options.Storage;

        Assert.Equal(("/x", 60, false), (storage.Filesystem.RootDirectory, storage.Filesystem.MaxThreads, storage.Delete.Enabled));
    }

    [Fact]
    public void A_driver_can_be_named_alone()
    {
        var chosen = Load(VersionLine, ("REGISTRY_STORAGE", "filesystem"), ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/x"));
        Assert.Equal("/x", chosen.Options.Storage.Filesystem.RootDirectory);
        Assert.Empty(chosen.Errors);

        Assert.StartsWith("storage.inmemory: ", Assert.Single(Load(VersionLine, ("REGISTRY_STORAGE", "inmemory")).Errors));
    }

    [Fact]
    public void List_entries_are_given_by_index()
    {
        var loaded = Load(
            VersionLine + "hosted: {repositories: [a/**, b/**]}",
            ("REGISTRY_HOSTED_REPOSITORIES_1", "c/**"),
            ("REGISTRY_HOSTED_REPOSITORIES_2", "**"));

        Assert.Equal(["a/**", "c/**", "**"], loaded.Options.Hosted.Repositories);
    }

    [Fact]
    public void An_index_beyond_the_list_s_end_is_an_error() =>
        Assert.StartsWith("REGISTRY_HOSTED_REPOSITORIES_4: ", Assert.Single(Load(VersionLine, ("REGISTRY_HOSTED_REPOSITORIES_4", "a")).Errors));

    [Fact]
    public void Names_of_the_user_s_own_can_be_given()
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
    public void A_password_is_text_whatever_YAML_would_make_of_it(string password) =>
        Assert.Equal(password, LoadNothing(("REGISTRY_PROXY_PASSWORD", password)).Options.Proxy.Password);

    [Fact]
    public void An_empty_variable_takes_a_value_away() => Assert.Null(LoadNothing(("REGISTRY_PROXY_REMOTEURL", "")).Options.Proxy.RemoteUrl);

    [Theory]
    [InlineData("REGISTRY_PROXY_REMOTURL")]
    [InlineData("REGISTRY_PORT_5000_TCP")]
    [InlineData("REGISTRY_HTTP_")]
    public void A_variable_for_no_known_key_is_warned_about(string variable) =>
        Assert.StartsWith(variable + " ", Assert.Single(LoadNothing((variable, "x")).Warnings));

    [Fact]
    public void A_section_that_is_not_yaml_is_an_error_without_its_text()
    {
        var error = Assert.Single(Load(VersionLine, ("REGISTRY_PROXY", "{password: hunter2")).Errors);

        Assert.StartsWith("REGISTRY_PROXY: ", error);
        Assert.DoesNotContain("hunter2", error);
    }
}
