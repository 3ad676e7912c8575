using Microsoft.Extensions.Logging;
using Mirror.Configuration;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary>Keys of the file, and the properties that they set.</summary>
public sealed class OptionTests
{
    [Fact]
    public void Every_key_acted_on_reaches_its_property()
    {
        var loaded = Load("""
            version: 0.1
            log:
              level: debug
              formatter: logstash
              fields: {environment: test}
              accesslog: {disabled: true}
            storage:
              filesystem: {rootdirectory: /data, maxthreads: 25}
              delete: {enabled: true}
            http:
              addr: "[::1]:5001"
              host: https://mirror.example/
              prefix: /docker
              relativeurls: true
              headers: {X-One: one, X-Two: [two, three]}
              draintimeout: 90
              secret: shared
              debug: {addr: ":5002", prometheus: {enabled: true, path: /numbers}}
              http2: {disabled: true}
            proxy:
              remoteurl: https://registry.example/path
              username: me
              password: "0123"
              tags_cache_ttl: 1h30m
              max_size: 50GiB
            hosted:
              repositories: [ours/**, "*/tools"]
            """);

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
        var (log, storage, http, proxy) = (loaded.Options.Log, loaded.Options.Storage, loaded.Options.Http, loaded.Options.Proxy);
        Assert.Equal((LogLevel.Debug, LogFormatter.Logstash), (log.Level, log.Formatter));
        Assert.Equal(("test", true), (log.Fields["environment"], log.AccessLog.Disabled));
        Assert.Equal(("/data", true), (storage.Filesystem.RootDirectory, storage.Delete.Enabled));
        Assert.Equal("25", loaded.Values["storage:filesystem:maxthreads"]);
        Assert.Equal(("[::1]:5001", "https://mirror.example", "/docker/", true), (http.Addr, http.Host, http.Prefix, http.RelativeUrls));
        Assert.Equal(["one"], http.Headers["x-one"]);
        Assert.Equal(["two", "three"], http.Headers["X-Two"]);
        Assert.Equal((TimeSpan.FromSeconds(90), "shared", true), (http.DrainTimeout, http.Secret, http.Http2.Disabled));
        Assert.Equal((":5002", true, "/numbers"), (http.Debug.Addr, http.Debug.Prometheus.Enabled, http.Debug.Prometheus.Path));
        Assert.Equal(("https://registry.example/path", "me", "0123"), (proxy.RemoteUrl!.OriginalString, proxy.Username, proxy.Password));
        Assert.Equal((TimeSpan.FromMinutes(90), 50L << 30), (proxy.TagsCacheTtl, proxy.MaxSize));
        Assert.Equal(["ours/**", "*/tools"], loaded.Options.Hosted.Repositories);
    }

    [Theory]
    [InlineData("s3")]
    [InlineData("s3aws")]
    public void A_bucket_is_set_by_the_keys_of_the_registry(string driver)
    {
        var loaded = Load(VersionLine + $$"""
            storage:
              {{driver}}:
                accesskey: a
                secretkey: s
                region: eu-central-1
                regionendpoint: store:9000
                bucket: images
                rootdirectory: /registry
                secure: false
                v4auth: true
                chunksize: 5242880
                localcache: {path: /cache, maxsize: 100GiB}
              redirect: {disable: true}
            """);

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
        var (storage, s3) = (loaded.Options.Storage, loaded.Options.Storage.S3!);
        Assert.Equal(("a", "s", "eu-central-1"), (s3.AccessKey, s3.SecretKey, s3.Region));
        Assert.Equal(("store:9000", "images", "/registry"), (s3.RegionEndpoint, s3.Bucket, s3.RootDirectory));
        Assert.Equal((false, false, 5L << 20, "STANDARD"), (s3.Secure, s3.SkipVerify, s3.ChunkSize, s3.StorageClass));
        Assert.Equal(("/cache", 100L << 30, true), (s3.LocalCache.Path, s3.LocalCache.MaxSize, storage.Redirect.Disable));

        using var shown = new StringWriter();
        EffectiveConfiguration.Write(loaded, shown);
        Assert.Contains("secretkey: '***'", shown.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("filesystem", shown.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_key_about_pushes_reaches_its_property()
    {
        var loaded = Load("""
            version: 0.1
            storage:
              maintenance:
                uploadpurging: {enabled: false, age: 1h, interval: 2h, dryrun: true}
                readonly: {enabled: true}
            validation:
              disabled: true
              manifests:
                urls: {allow: ["^https://a"], deny: [b, c]}
                indexes: {platforms: list, platformlist: [{os: linux, architecture: amd64}]}
            catalog: {maxentries: 5}
            tags: {maxtags: 6}
            """);

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
        var (maintenance, validation) = (loaded.Options.Storage.Maintenance, loaded.Options.Validation);
        var purging = maintenance.UploadPurging;
        Assert.Equal((false, true), (purging.Enabled, purging.DryRun));
        Assert.Equal((TimeSpan.FromHours(1), TimeSpan.FromHours(2)), (purging.Age, purging.Interval));
        Assert.True(maintenance.ReadOnly.Enabled);
        Assert.True(validation.Disabled);
        Assert.Equal(["^https://a"], validation.Manifests.Urls.Allow);
        Assert.Equal(["b", "c"], validation.Manifests.Urls.Deny);
        Assert.Equal(RequiredPlatforms.List, validation.Manifests.Indexes.Platforms);
        var platform = validation.Manifests.Indexes.PlatformList[0];
        Assert.Equal(("linux", "amd64"), (platform.Os, platform.Architecture));
        Assert.Equal((5, 6), (loaded.Options.Catalog.MaxEntries, loaded.Options.Tags.MaxTags));
    }

    [Fact]
    public void A_key_that_the_file_does_not_have_has_its_default()
    {
        var options = Load(VersionLine).Options;

        Assert.Equal("/var/lib/registry", options.Storage.Filesystem.RootDirectory);
        Assert.Equal((":5000", "/", TimeSpan.FromSeconds(30)), (options.Http.Addr, options.Http.Prefix, options.Http.DrainTimeout));
        Assert.Equal(TimeSpan.FromMinutes(10), options.Proxy.TagsCacheTtl);
        Assert.Equal(["local/**"], options.Hosted.Repositories);
        Assert.Equal(LogLevel.Information, options.Log.Level);
        Assert.Null(options.Proxy.Exec);
    }

    [Theory]
    [InlineData("proxy: {remoteurl: https://x}", false)]
    [InlineData("proxy: {upstreams: [{remoteurl: https://x}]}", false)]
    [InlineData("proxy: {remoteurl: https://x}\nauth: none", false)]
    [InlineData("proxy: {remoteurl: https://x}\nhosted:", false)]
    [InlineData("proxy: {remoteurl: https://x}\nhosted: {repositories: []}", false)]
    [InlineData("proxy: {remoteurl: https://x}\nhosted: {repositories: a/*}", true)]
    [InlineData("proxy: {remoteurl: https://x}\nauth: {htpasswd: {realm: r, path: /etc/passwd}}", true)]
    [InlineData("proxy: {tags_cache_ttl: 1h}", true)]
    [InlineData("", true)]
    public void A_mirror_takes_pushes_only_where_its_file_says_so(string yaml, bool takes)
    {
        var loaded = Load(VersionLine + yaml);
        Assert.Empty(loaded.Errors);
        Assert.Equal(takes, loaded.Options.TakesWrites);
    }

    [Fact]
    public void A_list_in_the_file_replaces_the_default()
    {
        Assert.Equal(["a/b"], Load(VersionLine + "hosted: {repositories: a/b}").Options.Hosted.Repositories);
        Assert.Empty(Load(VersionLine + "hosted: {repositories: []}").Options.Hosted.Repositories);
    }

    [Theory]
    [InlineData("https://docker.io")]
    [InlineData("http://docker.io")]
    [InlineData("https://index.docker.io/v1/")]
    [InlineData("https://hub.docker.com")]
    [InlineData("https://registry.hub.docker.com")]
    [InlineData("https://registry-1.docker.io/")]
    public void Docker_Hub_is_recognized_by_all_its_names(string url) =>
        Assert.Equal(
            "https://registry-1.docker.io",
            Load(VersionLine + $"proxy: {{remoteurl: \"{url}\"}}").Options.Proxy.RemoteUrl!.OriginalString);

    [Theory]
    [InlineData("{command: c}", null)]
    [InlineData("{command: c, lifetime: 0}", 0)]
    [InlineData("{command: c, lifetime: 1h}", 3600)]
    public void The_lifetime_of_a_credential_helper_may_be_absent_zero_or_longer(string exec, int? seconds)
    {
        var helper = Load(VersionLine + $"proxy: {{remoteurl: https://docker.io, exec: {exec}}}").Options.Proxy.Exec!;

        Assert.Equal("c", helper.Command);
        Assert.Equal(seconds, (int?)helper.Lifetime?.TotalSeconds);
    }

    [Fact]
    public void An_old_name_is_read_if_the_new_one_is_absent()
    {
        var old = Load(VersionLine + "loglevel: error\nmirroring: {tags_cache_ttl: 60}").Options;
        Assert.Equal((LogLevel.Error, TimeSpan.FromMinutes(1)), (old.Log.Level, old.Proxy.TagsCacheTtl));

        var both = Load(
            VersionLine + "loglevel: error\nlog: {level: warn}\nproxy: {tags_cache_ttl: 5s}\nmirroring: {tags_cache_ttl: 60}").Options;
        Assert.Equal((LogLevel.Warning, TimeSpan.FromSeconds(5)), (both.Log.Level, both.Proxy.TagsCacheTtl));
    }

    [Fact]
    public void Merge_keys_are_merged()
    {
        var loaded = Load(VersionLine + "storage:\n  filesystem:\n    <<: {maxthreads: 50, rootdirectory: /x}\n    rootdirectory: /y\n");

        Assert.Equal("/y", loaded.Options.Storage.Filesystem.RootDirectory);
    }

    [Theory]
    [InlineData("1d", 24)]
    [InlineData("24h", 24)]
    [InlineData("90m", 1.5)]
    public void Every_duration_may_be_in_days(string text, double hours)
    {
        var options = Load(VersionLine + $"proxy: {{remoteurl: https://x, tags_cache_ttl: {text}, ttl: {text}, "
            + $"warm: {{lists: [{{images: [a], every: {text}}}]}}}}").Options;

        Assert.Equal(
            (hours, hours, hours),
            (options.Proxy.TagsCacheTtl.TotalHours, options.Proxy.Ttl.TotalHours, options.Proxy.Warm.Lists[0].Every.TotalHours));
    }

    [Theory]
    [InlineData("https://registry.example/v2/", "https://registry.example")]
    [InlineData("https://registry.example/v2", "https://registry.example")]
    [InlineData("https://registry.example/api/docker/v2/", "https://registry.example/api/docker")]
    public void The_v2_at_the_end_of_an_upstream_is_removed_with_a_warning(string url, string expected)
    {
        var loaded = Load(VersionLine + $"proxy: {{remoteurl: {url}, upstreams: [{{name: other.example, remoteurl: {url}}}]}}");

        Assert.Empty(loaded.Errors);
        Assert.Equal(
            (expected, expected),
            (loaded.Options.Proxy.RemoteUrl!.OriginalString, loaded.Options.Proxy.Upstreams[0].RemoteUrl!.OriginalString));
        foreach (var key in new[] { "proxy.remoteurl", "proxy.upstreams.0.remoteurl" })
            Assert.Contains(loaded.Warnings, warning => warning.StartsWith($"{key} is read as {expected}:", StringComparison.Ordinal));
    }
}
