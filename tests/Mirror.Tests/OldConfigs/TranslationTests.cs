using Microsoft.Extensions.Configuration;
using Mirror.Commands;
using Mirror.Configuration;
using Mirror.Configuration.Old;
using Xunit;

namespace Mirror.Tests.OldConfigs;

/// <summary>Files and variables of docker-registry 0.x, and the settings of today that they become.</summary>
public sealed class TranslationTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void A_flavor_inherits_by_anchors_and_reads_variables_as_yaml()
    {
        const string file = """
            base: &base
              loglevel: info
              search_backend: "_env:SEARCH_BACKEND:"
              storage_redirect: _env:REDIRECT:false
            shop:
              <<: *base
              loglevel: warn
              storage: s3
              s3_access_key: _env:AWS_S3_ACCESS_KEY
              s3_secret_key: _env:AWS_S3_SECRET_KEY
              s3_bucket: _env:AWS_S3_BUCKET
              storage_path: /images
              boto_host: _env:STORE:store.example:9000
            lab:
              <<: *base
              loglevel: debug
              storage: local
              storage_path: _env:STORAGE_PATH:./lab-data
            """;

        var shop = Load(file, ("SETTINGS_FLAVOR", "shop"), ("AWS_S3_ACCESS_KEY", "k"), ("AWS_S3_SECRET_KEY", "#1"),
            ("AWS_S3_BUCKET", "b"), ("REDIRECT", "yes"));
        Assert.Empty(shop.Errors);
        var s3 = shop.Options.Storage.S3!;
        Assert.Equal(("k", "#1", "b", "/images"), (s3.AccessKey, s3.SecretKey, s3.Bucket, s3.RootDirectory));
        Assert.Equal(("https://store.example:9000", false), (s3.RegionEndpoint, shop.Options.Storage.Redirect.Disable));
        Assert.True(shop.Old!.SearchesNothing);

        var lab = Load(file, ("SETTINGS_FLAVOR", "lab"), ("SEARCH_BACKEND", "sqlalchemy"));
        Assert.Empty(lab.Errors);
        Assert.Equal("./lab-data", lab.Options.Storage.Filesystem.RootDirectory);
        Assert.Equal(("lab", false, false), (lab.Old!.Flavor, lab.Old.SearchesNothing, lab.Options.Proxy.HasUpstream));

        Assert.Contains("storage: s3 needs boto_bucket", Assert.Single(Load(file, ("SETTINGS_FLAVOR", "shop")).Errors));
        var unknown = Assert.Single(Load(file, ("SETTINGS_FLAVOR", "lob")).Errors);
        Assert.Equal("SETTINGS_FLAVOR: the file has no flavor \"lob\"; it has base, shop, lab", unknown);
    }

    [Fact]
    public void The_only_flavor_is_used_where_no_variable_names_one()
    {
        var loaded = Load("prod: {storage: local, storage_path: ./d}\n");

        Assert.Empty(loaded.Errors);
        Assert.Equal(("prod", "./d"), (loaded.Old!.Flavor, loaded.Options.Storage.Filesystem.RootDirectory));
    }

    [Fact]
    public void A_store_with_the_interface_of_s3_has_its_address_from_boto()
    {
        var loaded = Load("""
            prod:
              storage: s3
              s3_region: eu-central-1
              s3_bucket: old-name
              boto_bucket: team-images
              storage_path: /layers
              s3_access_key: EXAMPLEKEY
              s3_secret_key: examplesecret
              s3_encrypt: false
              s3_secure: false
              boto_host: _env:AWS_HOST:127.0.0.1
              boto_port: _env:AWS_PORT:18095
              boto_calling_format: boto.s3.connection.OrdinaryCallingFormat
            """);

        Assert.Empty(loaded.Errors);
        var s3 = loaded.Options.Storage.S3!;
        Assert.Equal(("eu-central-1", "team-images", "/layers", false), (s3.Region, s3.Bucket, s3.RootDirectory, s3.Encrypt));
        Assert.Equal(("http://127.0.0.1:18095", true), (s3.RegionEndpoint, s3.ForcePathStyle));
        // Off by default, as it was.
        Assert.True(loaded.Options.Storage.Redirect.Disable);
    }

    [Fact]
    public void The_keys_of_google_are_those_of_its_interface_of_s3_and_without_them_it_finds_its_own()
    {
        var loaded = Load(
            "dev: {storage: gcs, boto_bucket: images, storage_path: /, gs_access_key: k, gs_secret_key: s, gs_secure: false}\n");
        Assert.Empty(loaded.Errors);
        var s3 = loaded.Options.Storage.S3!;
        Assert.Equal(("images", "k", "s", "http://storage.googleapis.com"), (s3.Bucket, s3.AccessKey, s3.SecretKey, s3.RegionEndpoint));

        loaded = Load("dev: {storage: gcs, boto_bucket: images, storage_path: /team, oauth2: true, gs_secure: true}\n");
        Assert.Empty(loaded.Errors.Concat(loaded.Warnings));
        Assert.Null(loaded.Options.Storage.S3);
        var gcs = loaded.Options.Storage.Gcs!;
        Assert.Equal(("images", "/team", null, null), (gcs.Bucket, gcs.RootDirectory, gcs.KeyFile, gcs.Credentials));
        Assert.True(loaded.Options.Storage.Redirect.Disable);

        Assert.StartsWith("storage: gcs needs boto_bucket", Assert.Single(Load("dev: {storage: gcs, oauth2: true}\n").Errors));
    }

    [Theory]
    [InlineData("swift", "swift needs swift_authurl, swift_user and swift_password")]
    [InlineData("glance", "glance needs the variables OS_AUTH_URL")]
    [InlineData("elliptics", "elliptics needs elliptics_nodes")]
    [InlineData("oss", "OSS is used through its interface of S3")]
    [InlineData("ftp", "ftp is not known; available are local, s3, azureblob")]
    public void A_store_that_does_not_exist_here_is_refused_by_its_name(string kind, string expected)
    {
        var loaded = Load(
            $"dev: {{storage: {kind}, swift_container: c, elliptics_groups: [1], oss_host: h, storage_alternate: file}}\n");

        Assert.StartsWith($"storage: {expected}", Assert.Single(loaded.Errors));
    }

    [Fact]
    public void Swift_keeps_its_container_and_version_2_of_its_login()
    {
        var loaded = Load("""
            dev:
              storage: swift
              storage_path: /images
              swift_authurl: _env:OS_AUTH_URL
              swift_container: _env:OS_CONTAINER:dev_container
              swift_user: _env:OS_USERNAME
              swift_password: _env:OS_PASSWORD
              swift_tenant_name: _env:OS_TENANT_NAME
              swift_region_name: _env:OS_REGION_NAME
            """, ("OS_AUTH_URL", "https://keystone.example/"), ("OS_USERNAME", "u"), ("OS_PASSWORD", "p"), ("OS_TENANT_NAME", "t"));

        Assert.Empty(loaded.Errors);
        var swift = loaded.Options.Storage.Swift!;
        Assert.Equal(("dev_container", "u", "p", "t"), (swift.Container, swift.Username, swift.Password, swift.Tenant));
        Assert.Equal((2, "/images", true), (swift.Version, swift.Prefix, loaded.Options.Storage.Redirect.Disable));
    }

    [Fact]
    public void A_list_as_the_version_of_swifts_login_is_a_version_that_is_missing()
    {
        const string file = "dev: {storage: swift, swift_authurl: 'https://a.example', swift_user: u, swift_password: p, "
            + "swift_auth_version: [2, 3]}\n";

        Assert.StartsWith("storage.swift.authversion: missing", Assert.Single(Load(file).Errors));
    }

    [Fact]
    public void Glance_has_its_login_from_variables_and_shares_it_with_swift()
    {
        (string, string)[] login =
            [("OS_AUTH_URL", "https://keystone.example/v3"), ("OS_USERNAME", "u"), ("OS_PASSWORD", "hunter2"), ("OS_TENANT_NAME", "t")];
        var loaded = Load("dev: {storage: glance, storage_alternate: file, storage_path: ./rest, storage_redirect: true}\n", login);
        Assert.Empty(loaded.Errors.Concat(loaded.Warnings));
        var glance = loaded.Options.Storage.Glance!;
        Assert.Equal(
            ("https://keystone.example/v3", "u", "hunter2", "t", "./rest", null),
            (glance.AuthUrl, glance.Username, glance.Password, glance.Tenant, glance.RootDirectory, glance.Container));
        Assert.DoesNotContain(loaded.Old!.Keys, key => key.Value.Contains("hunter2", StringComparison.Ordinal));

        loaded = MirrorConfiguration.Load(null, Environment([("SETTINGS_FLAVOR", "glance-swift"), .. login]));
        Assert.Empty(loaded.Errors.Concat(loaded.Warnings));
        Assert.Equal(("dev_container", "/registry"), (loaded.Options.Storage.Glance!.Container, loaded.Options.Storage.Glance.Prefix));

        loaded = Load("dev: {storage: glance, storage_alternate: swift, swift_user: other, swift_container: c}\n", login);
        Assert.Empty(loaded.Errors);
        Assert.Contains("one log-in", Assert.Single(loaded.Warnings));
    }

    [Theory]
    [InlineData("{ell-one.example: 1025, ell-two.example: 1025}")]
    [InlineData("['ell-one.example:1025:2', 'ell-two.example:1025:2']")]
    [InlineData("ell-one.example:1025 ell-two.example:1025")]
    public void Elliptics_is_asked_by_its_http_front_on_each_machine(string nodes)
    {
        var loaded = Load($"dev: {{storage: elliptics, elliptics_nodes: {nodes}, elliptics_groups: [1, 2], elliptics_io_thread_num: 2}}\n");

        Assert.Empty(loaded.Errors);
        Assert.Contains("the folder /tmp/registry: keep it", Assert.Single(loaded.Warnings));
        var elliptics = loaded.Options.Storage.Elliptics!;
        Assert.Equal(["http://ell-one.example:8080", "http://ell-two.example:8080"], elliptics.Endpoints);
        Assert.Equal("/tmp/registry", elliptics.RootDirectory);
        Assert.Contains(loaded.Old!.Keys, key => key is { Name: "elliptics_io_thread_num", Fate: OldKeyFate.WithoutEffect });
        Assert.Empty(Load(loaded.Old.Translation).Errors);
    }

    [Fact]
    public void Azure_keeps_its_container_and_can_be_an_emulator()
    {
        var loaded = Load("""
            prod:
              storage: azureblob
              azure_storage_account_name: _env:AZURE_STORAGE_ACCOUNT_NAME:devstoreaccount1
              azure_storage_account_key: _env:AZURE_STORAGE_ACCOUNT_KEY
              azure_storage_container: _env:AZURE_STORAGE_CONTAINER:registry
              azure_use_https: false
            """, ("SETTINGS_FLAVOR", "prod"), ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"));

        Assert.Empty(loaded.Errors);
        var azure = loaded.Options.Storage.Azure!;
        Assert.Equal(("devstoreaccount1", "a2V5", "registry"), (azure.AccountName, azure.AccountKey, azure.Container));
        Assert.Equal("http://127.0.0.1:10000/devstoreaccount1/registry", azure.ContainerUrl.OriginalString);
    }

    [Fact]
    public void A_mirror_has_its_upstream_its_ttl_and_a_place_to_push_to()
    {
        var loaded = Load("""
            dev:
              storage: local
              storage_path: ./mirror-data
              mirroring: {source: https://registry-1.docker.io, source_index: https://index.docker.io, tags_cache_ttl: 864000}
            """);

        Assert.Empty(loaded.Errors);
        Assert.Equal(("registry-1.docker.io", TimeSpan.FromDays(10)),
            (loaded.Options.Proxy.RemoteUrl!.Host, loaded.Options.Proxy.TagsCacheTtl));
        Assert.Equal(["local/**"], loaded.Options.Hosted.Repositories);
    }

    [Fact]
    public void Mirroring_alone_makes_a_mirror_in_a_file_of_today_too()
    {
        var loaded = Load("version: 0.1\nmirroring: {source: https://registry-1.docker.io, tags_cache_ttl: 1h}\n");

        Assert.Empty(loaded.Errors);
        Assert.Equal((true, TimeSpan.FromHours(1)), (loaded.Options.Proxy.HasUpstream, loaded.Options.Proxy.TagsCacheTtl));
    }

    [Fact]
    public void One_redis_serves_for_both_caches()
    {
        var loaded = Load("""
            dev:
              storage: local
              cache: {host: _env:CACHE_REDIS_HOST:127.0.0.1, port: _env:CACHE_REDIS_PORT:6379, db: 1, password: _env:P}
              cache_lru: {host: _env:CACHE_LRU_REDIS_HOST:127.0.0.1, port: _env:CACHE_LRU_REDIS_PORT:6379, db: 0}
            """, ("P", "hunter2"));

        Assert.Empty(loaded.Errors);
        Assert.Equal(("127.0.0.1:6379", 1, "hunter2"),
            (loaded.Options.Redis.Addr, loaded.Options.Redis.Db, loaded.Options.Redis.Password));
    }

    [Fact]
    public void Pages_of_named_hosts_are_let_in()
    {
        var loaded = Load("""
            dev:
              storage: local
              cors:
                origins: _env:CORS_ORIGINS:[https://ui.example.org, https://b.example]
                methods: _env:CORS_METHODS:[GET, HEAD, DELETE]
                expose_headers: _env:CORS_EXPOSE_HEADERS:[Docker-Content-Digest]
                supports_credentials: _env:CORS_SUPPORTS_CREDENTIALS:true
                max_age: _env:CORS_MAX_AGE:600
                resources: _env:CORS_RESOURCES
            """);

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
        Assert.Empty(loaded.Options.Http.Headers);
        var cors = loaded.Options.Http.Cors;
        Assert.Equal(["https://ui.example.org", "https://b.example"], cors.Origins);
        Assert.Equal(["GET", "HEAD", "DELETE"], cors.Methods);
        Assert.Equal(["Docker-Content-Digest"], cors.ExposeHeaders);
        Assert.Equal((true, TimeSpan.FromSeconds(600)), (cors.SupportsCredentials, cors.MaxAge));
    }

    [Theory]
    [InlineData("origins: 'https://.*[.]example'")]
    [InlineData("{origins: '*', supports_credentials: true}")]
    public void Pages_that_cannot_be_told_apart_are_not_let_in(string cors)
    {
        var loaded = Load($"dev:\n  storage: local\n  cors: {(cors[0] == '{' ? cors : $"{{{cors}}}")}\n");

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Options.Http.Headers);
        Assert.Empty(loaded.Options.Http.Cors.Origins);
        Assert.StartsWith("cors.origins: not done: ", Assert.Single(loaded.Warnings));
    }

    [Theory]
    [InlineData("standalone: false", "standalone: the index that checked its tokens is gone")]
    [InlineData("search_backend: some.python.module", "search_backend: some.python.module is a Python module")]
    [InlineData("search_backend: sqlalchemy, sqlalchemy_index_database: 'oracle://x/y'", "sqlalchemy_index_database: oracle is not known")]
    public void What_would_open_the_registry_or_cannot_be_is_refused(string keys, string expected) =>
        Assert.StartsWith(expected, Assert.Single(Load($"dev: {{storage: local, {keys}}}\n").Errors));

    [Fact]
    public void A_registry_that_is_not_alone_may_have_a_login_of_today()
    {
        Assert.Empty(Load("dev: {storage: local, standalone: false, disable_token_auth: true}\n").Errors);
        Assert.DoesNotContain(Load("dev: {storage: local, standalone: false}\n",
            ("REGISTRY_AUTH_SILLY_REALM", "r"), ("REGISTRY_AUTH_SILLY_SERVICE", "s")).Errors, _ => true);
    }

    [Fact]
    public void A_proxy_of_boto_is_refused_unless_the_environment_has_one()
    {
        const string file = "dev: {storage: s3, boto_bucket: b, boto_proxy: proxy.example, boto_proxy_port: 3128}\n";

        Assert.Contains("HTTPS_PROXY=http://proxy.example:3128", Assert.Single(Load(file).Errors));
        Assert.Empty(Load(file, ("HTTPS_PROXY", "http://proxy.example:3128")).Errors);
    }

    [Fact]
    public void The_file_of_boto_names_the_store()
    {
        var boto = Path.Combine(_folder.FullName, "boto.cfg");
        File.WriteAllText(boto, "[Boto]\nhttps_validate_certificates = True\n[Credentials]\n# x\ns3_host = store.example\ns3_port=9000\n");

        var loaded = Load("dev: {storage: s3, boto_bucket: b}\n", ("BOTO_CONFIG", boto));

        Assert.Empty(loaded.Errors);
        Assert.Equal("https://store.example:9000", loaded.Options.Storage.S3!.RegionEndpoint);
    }

    [Fact]
    public void Variables_alone_choose_a_flavor_of_the_sample()
    {
        var loaded = MirrorConfiguration.Load(null, Environment(
            ("SETTINGS_FLAVOR", "s3"), ("AWS_BUCKET", "team-images"), ("STORAGE_PATH", "/layers"), ("AWS_KEY", "k"), ("AWS_SECRET", "s"),
            ("SEARCH_BACKEND", "sqlalchemy"), ("SQLALCHEMY_INDEX_DATABASE", "mysql://user:pass@127.0.0.1/index"),
            ("CACHE_REDIS_HOST", "127.0.0.1"), ("REGISTRY_PORT", "5001"),
            ("GUNICORN_OPTS", "[--certfile=c.pem, --keyfile, k.pem, --preload]"),
            ("GUNICORN_GRACEFUL_TIMEOUT", "60")));

        Assert.Empty(loaded.Errors);
        Assert.Null(loaded.File);
        var (s3, http) = (loaded.Options.Storage.S3!, loaded.Options.Http);
        Assert.Equal(("team-images", "/layers", "k", true), (s3.Bucket, s3.RootDirectory, s3.AccessKey, s3.Encrypt));
        Assert.Equal((":5001", "c.pem", "k.pem", TimeSpan.FromMinutes(1)),
            (http.Addr, http.Tls.Certificate, http.Tls.Key, http.DrainTimeout));
        Assert.Equal("127.0.0.1:6379", loaded.Options.Redis.Addr);
        Assert.False(loaded.Old!.SearchesNothing);
        Assert.Equal("mysql://user:pass@127.0.0.1/index", loaded.Options.Search.Database);
        Assert.DoesNotContain(loaded.Old.Keys, key => key.Value.Contains("pass", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("local")]
    [InlineData("dev")]
    [InlineData("test")]
    [InlineData("s3", "AWS_BUCKET")]
    [InlineData("prod", "AWS_S3_BUCKET")]
    [InlineData("ceph-s3", "AWS_BUCKET")]
    [InlineData("cloudfronts3", "AWS_BUCKET")]
    [InlineData("azureblob", "AZURE_STORAGE_ACCOUNT_NAME")]
    [InlineData("gcs", "GCS_BUCKET", "GCS_KEY", "GCS_SECRET")]
    [InlineData("gcs", "GCS_BUCKET")]
    public void Every_flavor_of_the_sample_whose_store_exists_starts(string flavor, params string[] variables) =>
        Assert.Empty(MirrorConfiguration.Load(
            null, Environment([("SETTINGS_FLAVOR", flavor), .. variables.Select(name => (name, "x"))])).Errors);

    [Fact]
    public void Old_variables_do_not_count_with_a_file_of_today()
    {
        var loaded = Load("version: 0.1\n", ("REGISTRY_PORT", "tcp://10.0.0.1:5000"), ("STORAGE_PATH", "/x"), ("SETTINGS_FLAVOR", "s3"));

        Assert.Empty(loaded.Errors);
        Assert.Null(loaded.Old);
        Assert.Equal((":5000", "/var/lib/registry"), (loaded.Options.Http.Addr, loaded.Options.Storage.Filesystem.RootDirectory));
        Assert.Contains(loaded.Warnings, warning => warning.StartsWith("SETTINGS_FLAVOR has no effect", StringComparison.Ordinal));
    }

    [Fact]
    public void The_variables_that_kubernetes_makes_for_a_service_are_no_port()
    {
        var loaded = Load("dev: {storage: local}\n", ("REGISTRY_PORT", "tcp://10.0.0.1:5000"));

        Assert.Empty(loaded.Errors);
        Assert.Equal(":5000", loaded.Options.Http.Addr);
    }

    [Fact]
    public void Every_key_has_a_line_in_the_table_and_no_secret_is_in_it()
    {
        var loaded = Load("""
            dev:
              storage: local
              standalone: true
              disable_token_auth: true
              index_endpoint: https://index.docker.io
              privileged_key: ./public.pem
              bugsnag: hunter2
              email_exceptions: {smtp_host: m, smtp_password: hunter2, smtp_secure: true}
              nginx_x_accel_redirect: /internal
              swift_password: hunter2
              frobnicate: 1
            """);

        Assert.Empty(loaded.Errors);
        Assert.Equal(12, loaded.Old!.Keys.Count);
        Assert.Equal(
            ["nginx_x_accel_redirect"],
            loaded.Old.Keys.Where(key => key.Fate is OldKeyFate.NotDone).Select(key => key.Name));
        Assert.Equal(4, loaded.Warnings.Count);
        using var table = new StringWriter();
        OldKeyTable.Write(loaded.Old, table);
        Assert.Contains("frobnicate", table.ToString());
        Assert.DoesNotContain("hunter2", table.ToString());
    }

    [Fact]
    public void Mail_and_bugsnag_are_taken_at_the_top_of_a_flavor_too()
    {
        var loaded = Load("""
            shop:
              storage: local
              bugsnag: 0123456789abcdef0123456789abcdef
              email_exceptions: {smtp_host: mail.example, smtp_port: 2525, smtp_login: u, smtp_password: p, smtp_secure: false,
                from_addr: r@x, to_addr: o@x}
            lab:
              storage: local
              smtp_host: mail.example
              from_addr: r@x
              to_addr: o@x
            """, ("SETTINGS_FLAVOR", "shop"));

        Assert.Empty(loaded.Errors.Concat(loaded.Warnings));
        var hook = Assert.Single(loaded.Options.Log.Hooks);
        Assert.True(hook.IsUsed);
        var (smtp, bugsnag) = (hook.Options.Smtp, loaded.Options.Reporting.Bugsnag);
        Assert.Equal(("mail.example:2525", "u", "p", true), (smtp.Addr, smtp.Username, smtp.Password, smtp.Insecure));
        Assert.Equal(("0123456789abcdef0123456789abcdef", "shop"), (bugsnag.ApiKey, bugsnag.ReleaseStage));

        var lab = Load("lab: {storage: local, smtp_host: mail.example, from_addr: r@x, to_addr: o@x}\n");
        Assert.Equal("mail.example:25", Assert.Single(lab.Options.Log.Hooks).Options.Smtp.Addr);
    }

    [Fact]
    public void A_file_of_new_relic_and_its_stage_set_up_the_export()
    {
        var ini = Path.Combine(_folder.FullName, "newrelic.ini");
        File.WriteAllText(ini, "# keys\n[newrelic]\nlicense_key = eu01main\napp_name = Registry; All\n[newrelic:lab]\napp_name = Lab\n");

        var loaded = Load("dev: {storage: local}\n", ("NEW_RELIC_INI", ini), ("NEW_RELIC_STAGE", "lab"));

        Assert.Empty(loaded.Warnings);
        Assert.Equal(("eu01main", "Lab"), (loaded.Options.Reporting.NewRelic.LicenseKey, loaded.Options.Reporting.NewRelic.Name));
        var variable = Load("dev: {storage: local}\n", ("NEW_RELIC_LICENSE_KEY", "hunter2"));
        Assert.Equal("***", Assert.Single(variable.Old!.Keys, key => key.Name is "NEW_RELIC_LICENSE_KEY").Value);
        Assert.Contains("no license_key", Assert.Single(Load("dev: {storage: local}\n", ("NEW_RELIC_CONFIG_FILE", "/none")).Warnings));
    }

    [Fact]
    public void The_translation_is_a_file_of_today_that_means_the_same()
    {
        var old = Load("""
            dev:
              storage: s3
              boto_bucket: b
              s3_access_key: k
              s3_secret_key: "a: b # c"
              boto_host: h
              loglevel: warning
              cors: {origins: '*'}
              mirroring: {source: https://docker.io, tags_cache_ttl: 60}
            """);

        var today = Load(old.Old!.Translation);

        Assert.Empty(today.Errors);
        Assert.Empty(today.Warnings);
        Assert.Null(today.Old);
        Assert.Equal(old.Values.AsEnumerable().OrderBy(value => value.Key), today.Values.AsEnumerable().OrderBy(value => value.Key));
    }

    private MirrorConfiguration Load(string yaml, params (string Name, string Value)[] environment)
    {
        var file = Path.Combine(_folder.FullName, "config.yml");
        File.WriteAllText(file, yaml);
        return MirrorConfiguration.Load(file, Environment(environment));
    }

    private static Dictionary<string, string> Environment(params (string Name, string Value)[] variables) =>
        variables.ToDictionary(variable => variable.Name, variable => variable.Value);
}
