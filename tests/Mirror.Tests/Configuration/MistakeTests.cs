using Mirror.Hosting;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary>Mistakes that prevent a start, mistakes that only cause a warning, and the words of both.</summary>
public sealed class MistakeTests
{
    [Fact]
    public void An_error_names_the_path_the_value_and_what_is_allowed() => Assert.Equal(
        "proxy.remoteurl: \"ftp://x\" is not allowed: an http or https URL without user info, query or fragment",
        Assert.Single(Load(VersionLine + "proxy: {remoteurl: ftp://x}").Errors));

    [Theory]
    [InlineData("http://127.0.0.1:5001", "it is host:port or :port, without a scheme and without a path")]
    [InlineData("127.0.0.1:5001/", "it is host:port or :port, without a scheme and without a path")]
    [InlineData("/run/mirror.sock", "without http.net: unix")]
    public void An_address_with_a_slash_is_a_socket_only_if_it_looks_like_one(string address, string why) =>
        Assert.EndsWith(why, Assert.Single(Load(VersionLine + $"http: {{addr: '{address}'}}").Errors));

    [Theory]
    [InlineData("---\nauth: {htpasswd: {realm: r, path: /p}}\n", 3)]
    [InlineData("...\n---\n\n# users\nauth: {htpasswd: {realm: r, path: /p}}\n", 6)]
    public void A_second_document_is_named_by_its_line(string yaml, int line)
    {
        var error = Assert.Single(Load(VersionLine + yaml).Errors);
        Assert.Contains($"line {line}, ", error);
        Assert.Contains("second document", error);
    }

    [Theory]
    [InlineData("---\n")]
    [InlineData("...\n")]
    [InlineData("---\n# the end\n")]
    public void A_document_without_content_may_follow(string yaml) => Assert.Empty(Load(VersionLine + yaml).Errors);

    [Fact]
    public void An_error_about_a_duration_names_its_path() =>
        Assert.StartsWith(
            "proxy.tags_cache_ttl: \"10x\" is not allowed: ", Assert.Single(Load(VersionLine + "proxy: {tags_cache_ttl: 10x}").Errors));

    [Theory]
    [InlineData("storage: {filesystem: {maxthreads: many}}", "storage.filesystem.maxthreads")]
    [InlineData("storage: {delete: {enabled: maybe}}", "storage.delete.enabled")]
    [InlineData("storage: s3", "storage.s3.bucket")]
    [InlineData("storage: {s3aws: {region: r}}", "storage.s3.bucket")]
    [InlineData("storage: {s3: {bucket: b, chunksize: 5242879}}", "storage.s3.chunksize")]
    [InlineData("storage: {s3: {bucket: b, chunksize: 5368709121}}", "storage.s3.chunksize")]
    [InlineData("storage: {oss: {accesskeyid: a, accesskeysecret: s, region: r, bucket: b, chunksize: 6GiB}}", "storage.oss.chunksize")]
    [InlineData("storage: {azure: {accountname: a, container: c, chunksize: 4001MiB}}", "storage.azure.chunksize")]
    [InlineData("storage: {azure: {accountname: a, container: a/b}}", "storage.azure.container")]
    [InlineData("storage: {azure: {accountname: a, container: c, rootdirectory: a/../b}}", "storage.azure.rootdirectory")]
    [InlineData("storage: {azure: {accountname: a, container: c, rootdirectory: 'a\\b'}}", "storage.azure.rootdirectory")]
    [InlineData("storage: {s3: {bucket: a/b}}", "storage.s3.bucket")]
    [InlineData("storage: {gcs: {bucket: a/b}}", "storage.gcs.bucket")]
    [InlineData("storage: {oss: {accesskeyid: a, accesskeysecret: s, region: r, bucket: a/b}}", "storage.oss.bucket")]
    [InlineData("storage: {swift: {username: u, password: p, authurl: 'http://h/v3', container: c, chunksize: 6GiB}}",
        "storage.swift.chunksize")]
    [InlineData("storage: {swift: {username: u, password: p, authurl: 'http://h/v3', container: a/b}}", "storage.swift.container")]
    [InlineData("storage: {swift: {username: u, password: p, authurl: 'http://h/v3', container: c, prefix: ./reg}}",
        "storage.swift.prefix")]
    [InlineData("storage: {s3: {bucket: b, usefipsendpoint: true, regionendpoint: http://h}}", "storage.s3.usefipsendpoint")]
    [InlineData("storage: {s3: {bucket: b, v4auth: false}}", "storage.s3.v4auth")]
    [InlineData("storage: {s3: {bucket: b, regionendpoint: ftp://x}}", "storage.s3.regionendpoint")]
    [InlineData("storage: {s3: {bucket: b, localcache: {maxsize: 10x}}}", "storage.s3.localcache.maxsize")]
    [InlineData("storage: {s3: {bucket: b, accesskey: a}}", "storage.s3")]
    [InlineData("storage: {s3: {bucket: b}, filesystem: {rootdirectory: /x}}", "storage")]
    [InlineData("log: {level: loud}", "log.level")]
    [InlineData("loglevel: loud", "loglevel")]
    [InlineData("log: {formatter: xml}", "log.formatter")]
    [InlineData("http: {addr: 5000}", "http.addr")]
    [InlineData("http: {addr: \":70000\"}", "http.addr")]
    [InlineData("http: {host: mirror.example}", "http.host")]
    [InlineData("http: {prefix: docker}", "http.prefix")]
    [InlineData("http: {draintimeout: -1s}", "http.draintimeout")]
    [InlineData("http: {net: unix}", "http.net")]
    [InlineData("http: {net: udp}", "http.net")]
    [InlineData("http: {addr: /run/mirror.sock}", "http.addr")]
    [InlineData("http: {tls: {clientcas: [/a]}}", "http.tls.clientcas")]
    [InlineData("http: {tls: {certificate: /c, key: /k, clientauth: require-and-verify-client-cert}}", "http.tls.clientauth")]
    [InlineData("http: {tls: {certificate: /c, key: /k, clientauth: require-any-client-cert}}", "http.tls.clientauth")]
    [InlineData("http: {debug: {addr: \":5000\"}}", "http.debug.addr")]
    [InlineData("http: {cors: {origins: [ui.example.org]}}", "http.cors.origins.0")]
    [InlineData("http: {cors: {origins: ['*'], supports_credentials: true}}", "http.cors.origins")]
    [InlineData("http: {cors: {origins: [https://a.example, 'https://*:8443'], supports_credentials: true}}", "http.cors.origins")]
    [InlineData("http: addr", "http")]
    [InlineData("http: {addr: {a: b}}", "http.addr")]
    [InlineData("http: {headers: {X-One: \"a\\r\\nX-Two: b\"}}", "http.headers.X-One.0")]
    [InlineData("proxy: {remoteurl: https://x/?a=b}", "proxy.remoteurl")]
    [InlineData("proxy: {exec: {lifetime: 1h}}", "proxy.exec.command")]
    [InlineData("mirroring: {tags_cache_ttl: soon}", "mirroring.tags_cache_ttl")]
    [InlineData("proxy: {remoteurl: https://x, hold: soon}", "proxy.hold")]
    [InlineData("proxy: {remoteurl: https://x, hold: 30s, fail_fast: 5s}", "proxy.hold")]
    [InlineData("proxy: {remoteurl: https://x, max_size: plenty}", "proxy.max_size")]
    [InlineData("proxy: {remoteurl: https://x, max_size: 0}", "proxy.max_size")]
    [InlineData("storage: {s3: {bucket: b}}\nproxy: {remoteurl: https://x, min_free: 1GiB}", "proxy.min_free")]
    [InlineData("health: {http: [{uri: here}]}", "health.http.0.uri")]
    [InlineData("health: {tcp: [{timeout: 1s}]}", "health.tcp.0.addr")]
    [InlineData("health: {file: [{file: /a, interval: 1000h}]}", "health.file.0.interval")]
    [InlineData("health: {tcp: [{addr: \"h:0\"}]}", "health.tcp.0.addr")]
    [InlineData("hosted: {repositories: [ok, Not/Ok]}", "hosted.repositories.1")]
    public void Every_wrong_value_prevents_a_start(string yaml, string path) =>
        Assert.StartsWith(path + ": ", Assert.Single(Load(VersionLine + yaml).Errors));

    [Theory]
    [InlineData("\"X A\": b", "http.headers: \"X A\" is not allowed: the name of a header")]
    [InlineData("X-Site: [K\u00F6ln]", "http.headers.X-Site.0: \"K\u00F6ln\" is not allowed: one line of ASCII text")]
    [InlineData("X-Site: \"a\\nb\"", "http.headers.X-Site.0: \"a\\u000Ab\" is not allowed: one line of ASCII text")]
    [InlineData("\"X\\nA\": b", "http.headers: \"X\\u000AA\" is not allowed: the name of a header")]
    [InlineData("content-length: 5", "http.headers: \"content-length\" is not allowed: the name of a header")]
    [InlineData("Connection: close", "http.headers: \"Connection\" is not allowed: the name of a header")]
    [InlineData("Transfer-Encoding: x", "http.headers: \"Transfer-Encoding\" is not allowed: the name of a header")]
    public void A_header_that_the_server_cannot_send_prevents_a_start(string header, string error) =>
        Assert.StartsWith(error, Assert.Single(Load(VersionLine + $"http: {{headers: {{{header}}}}}").Errors));

    [Theory]
    [InlineData("proxy: {remoteurl: https://x, policies: [{deny: no}]}", "proxy.policies.0.match")]
    [InlineData("access: {rules: [{repositories: [a], actions: [pull]}]}", "access.rules.0.who")]
    public void A_missing_key_is_reported_once(string yaml, string path) =>
        Assert.StartsWith($"{path}: missing; ", Assert.Single(Load(VersionLine + yaml).Errors));

    [Theory]
    [InlineData("hosted:\n  repositories: [**]", 3, '*')]
    [InlineData("hosted:\n  repositories: **", 3, '*')]
    [InlineData("hosted:\n  repositories:\n    - *", 4, '*')]
    [InlineData("http:\n  addr: *:5000", 3, '*')]
    [InlineData("proxy:\n  username: u\n  password: *secret!", 4, '*')]
    [InlineData("proxy:\n  username: u\n  password: @secret", 4, '@')]
    [InlineData("proxy:\n  username: u\n  password: %secret", 4, '%')]
    [InlineData("proxy:\n  username: u\n  password: `secret", 4, '`')]
    [InlineData("http:\n  addr: [::]:5000", 3, '[')]
    [InlineData("http:\n  headers:\n    Access-Control-Allow-Origin: [*]", 4, '*')]
    public void A_text_that_needs_quotes_is_named_by_its_line(string yaml, int line, char sign) => Assert.Equal(
        $"line {line}: put the text that begins with {sign} in quotes; without them, {sign} has a meaning of its own in YAML",
        Assert.Single(Load(VersionLine + yaml + "\n").Errors));

    [Theory]
    [InlineData("proxy: {remoteurl: 'http://localhost:5000'}", true)]
    [InlineData("http: {addr: '127.0.0.1:80'}\nproxy: {remoteurl: 'http://localhost/v2/'}", true)]
    [InlineData("http: {addr: 'localhost:5001'}\nproxy: {remoteurl: 'http://[::1]:5001'}", true)]
    [InlineData("http: {addr: '0.0.0.0:5001'}\nproxy: {remoteurl: 'http://127.0.0.2:5001'}", true)]
    [InlineData("http: {addr: '10.0.0.9:5001'}\nproxy: {remoteurl: 'http://10.0.0.9:5001'}", true)]
    [InlineData("http: {addr: '10.0.0.9:5001'}\nproxy: {remoteurl: 'http://localhost:5001'}", false)]
    [InlineData("http: {addr: ':5001'}\nproxy: {remoteurl: 'http://localhost:5000'}", false)]
    [InlineData("http: {addr: ':5001'}\nproxy: {remoteurl: 'https://localhost:5001'}", false)]
    [InlineData("http: {addr: ':5001'}\nproxy: {remoteurl: 'http://registry.example:5001'}", false)]
    public void The_mirror_is_no_upstream_of_its_own(string yaml, bool isOwn)
    {
        var errors = Load(VersionLine + yaml).Errors;
        if (isOwn)
            Assert.Contains("it is the address of this server itself", Assert.Single(errors));
        else
            Assert.Empty(errors);
    }

    [Fact]
    public void All_mistakes_are_reported_at_once() =>
        Assert.Equal(3, Load("version: 9\nhttp: {addr: x}\nproxy: {remoteurl: y}").Errors.Count);

    [Theory]
    [InlineData("")]
    [InlineData("# nothing\n")]
    [InlineData("log: {level: info}")]
    public void The_version_is_required(string yaml) => Assert.Equal("version: missing; 0.1 is required", Assert.Single(Load(yaml).Errors));

    [Theory]
    [InlineData("auth: {htpasswd: {realm: r, path: /nowhere/at/all}}", "auth.htpasswd.path")]
    [InlineData("auth: {token: {realm: r, issuer: i, rootcertbundle: /dev/null}}", "auth.token.service")]
    [InlineData("auth: {token: {realm: r, service: s, issuer: i}}", "auth.token.rootcertbundle")]
    [InlineData("auth: {token: {realm: r, service: s, issuer: i, jwks: /dev/null, signingalgorithms: [RS255]}}",
        "auth.token.signingalgorithms.0")]
    [InlineData("auth: {silly: {realm: r}}", "auth.silly.service")]
    [InlineData("auth: {oidc: {issuer: https://ci.example, audience: a}}", "auth.oidc")]
    [InlineData("auth: {silly: {realm: r, service: s}}\nproxy: {remoteurl: https://x, private: client}", "proxy.private")]
    [InlineData("http: {tls: {certificate: /c, key: /k, clientcas: [/a], clientauth: request-client-cert}}\n"
        + "access: {rules: [{who: {certificates: ['*']}, repositories: ['**'], actions: [pull]}]}", "access.rules.0.who.certificates")]
    [InlineData("auth: {silly: {realm: r, service: s}, token: {realm: r, service: s, issuer: i, jwks: /dev/null}}", "auth")]
    [InlineData("storage: {azure: {accountname: a}}", "storage.azure.container")]
    [InlineData("storage: {azure: {accountname: a, container: c, credentials: {type: shared_key}}}", "storage.azure.accountkey")]
    [InlineData("storage: {azure: {accountname: a, container: c, accountkey: '?'}}", "storage.azure.accountkey")]
    [InlineData("storage: {azure: {accountname: a, container: c, serviceurl: 'http://h'}}", "storage.azure.serviceurl")]
    [InlineData("storage: {azure: {accountname: a, container: c, accountkey: AAAA, serviceurl: 'http://h', "
        + "credentials: {type: default_credentials}}}", "storage.azure.serviceurl")]
    [InlineData("storage: {azure: {accountname: a, container: c, credentials: {type: client_secret, clientid: i, secret: s, "
        + "tenantid: a/b}}}", "storage.azure.credentials.tenantid")]
    [InlineData("storage: {azure: {accountname: a, container: c}, filesystem: {rootdirectory: /x}}", "storage")]
    [InlineData("storage: {swift: {username: u, password: p, authurl: 'http://h', container: c}}", "storage.swift.authversion")]
    [InlineData("storage: {swift: {username: u, password: p, authurl: 'http://h/v3'}}", "storage.swift.container")]
    [InlineData("storage: gcs", "storage.gcs.bucket")]
    [InlineData("http: {tls: {certificate: /c}}", "http.tls")]
    [InlineData("storage: {gcs: {bucket: b, chunksize: 300000}}", "storage.gcs.chunksize")]
    [InlineData("storage: {oss: {accesskeyid: a, accesskeysecret: s, region: r}}", "storage.oss.bucket")]
    [InlineData("middleware: {storage: [{name: redirect}]}", "middleware.storage.0.options.baseurl")]
    [InlineData("middleware: {storage: [{name: redirect, options: {baseurl: cdn.example}}]}", "middleware.storage.0.options.baseurl")]
    [InlineData("middleware: {storage: [{name: cloudfront, options: {baseurl: 'https://a b', keypairid: k, privatekey: p}}]}",
        "middleware.storage.0.options.baseurl")]
    [InlineData("middleware: {storage: [{name: redirect, options: {baseurl: 'https://x/?a=b'}}]}", "middleware.storage.0.options.baseurl")]
    [InlineData("middleware: {storage: [{name: cloudfront, options: {baseurl: x, keypairid: k}}]}",
        "middleware.storage.0.options.privatekey")]
    [InlineData("middleware: {storage: [{name: cloudfront, options: {baseurl: x, keypairid: k, privatekey: p, ipfilteredby: awsregion}}]}",
        "middleware.storage.0.options.awsregion")]
    [InlineData("http: {tls: {letsencrypt: {hosts: [a]}}}", "http.tls.letsencrypt.hosts")]
    [InlineData("http: {tls: {letsencrypt: {cachefile: /c}}}", "http.tls.letsencrypt.hosts")]
    [InlineData("http: {tls: {letsencrypt: {cachefile: /c, hosts: ['*.a.example']}}}", "http.tls.letsencrypt.hosts.0")]
    [InlineData("http: {tls: {letsencrypt: {hosts: [a.example]}}}", "http.tls.letsencrypt.cachefile")]
    [InlineData("http: {tls: {certificate: /c, key: /k, letsencrypt: {cachefile: /c, hosts: [a.example]}}}", "http.tls.letsencrypt")]
    [InlineData("http: {addr: ':80', tls: {letsencrypt: {cachefile: /c, hosts: [a.example], http01: ':80'}}}",
        "http.tls.letsencrypt.http01")]
    [InlineData("http: {addr: /run/a, tls: {letsencrypt: {cachefile: /c, hosts: [a.example], http01: ':80'}}}", "http.addr")]
    [InlineData("log: {audit: {path: \"/a\\0b\"}}", "log.audit.path")]
    public void A_key_that_is_unsafe_to_ignore_prevents_a_start(string yaml, string path) =>
        Assert.StartsWith(path + ": ", Assert.Single(Load(VersionLine + yaml).Errors));

    [Fact]
    public void A_path_that_is_too_long_for_a_socket_prevents_a_start()
    {
        var loaded = Load($"{VersionLine}http: {{net: unix, addr: /{new string('x', 107)}}}");

        Assert.Empty(loaded.Errors);
        Assert.StartsWith("http.addr: the path /xxx", Assert.Single(SettingFiles.Mistakes(loaded.Options)));
    }

    [Theory]
    [InlineData("auth: htpasswd")]
    [InlineData("auth: {htpasswd: }")]
    [InlineData("auth: {htpasswd: {}}")]
    [InlineData("auth: {htpasswd: {realm: r}}")]
    public void Passwords_without_their_file_prevent_a_start(string yaml) =>
        Assert.Contains("auth.htpasswd.path: missing; text is required", Load(VersionLine + yaml).Errors);

    [Theory]
    [InlineData("auth: {htpaswd: {}}", "auth.htpaswd")]
    [InlineData("storage: {filesytem: {rootdirectory: /x}}", "storage.filesytem")]
    public void An_unknown_driver_or_way_of_authentication_prevents_a_start(string yaml, string path) =>
        Assert.StartsWith(path + " is not a known key", Assert.Single(Load(VersionLine + yaml).Errors));

    [Theory]
    [InlineData("auth:")]
    [InlineData("auth: none")]
    [InlineData("auth: {none: }")]
    [InlineData("http: {tls: }")]
    [InlineData("http: {tls: {certificate: \"\", key: }}")]
    [InlineData("redis:")]
    [InlineData("storage: {cache: {layerinfo: inmemory, blobdescriptorsize: 1000}}")]
    [InlineData("http: {secret: 8letters}\nredis: {addrs: [\"x:6379\"], unstableresp3: true}\nstorage: {cache: {blobdescriptor: redis}}")]
    [InlineData(
        "http: {secret: 8letters}\nredis: {addr: \"x:6379\", dialtimeout: 10ms, pool: {maxidle: 16, maxactive: 64, idletimeout: 300s}}")]
    public void A_key_that_needs_no_action_is_not_a_mistake(string yaml)
    {
        var loaded = Load(VersionLine + yaml);

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
    }

    [Theory]
    [InlineData("http: {draintimout: 1s}", "http.draintimout", "http.draintimeout")]
    [InlineData("rootdirectory: x", "rootdirectory", "storage.filesystem.rootdirectory")]
    [InlineData("storage: {filesystem: {maxthread: 50}}", "storage.filesystem.maxthread", "storage.filesystem.maxthreads")]
    [InlineData("redis: {pasword: x}", "redis.pasword", "redis.password")]
    [InlineData("addr: \":5000\"\nhttp: {addr: \"localhost:5000\"}", "addr", "http.addr")]
    [InlineData("max_size: 10GiB", "max_size", "proxy.max_size")]
    [InlineData("ttl: 168h", "ttl", "proxy.ttl")]
    [InlineData("delete: {enabled: true}", "delete", "storage.delete")]
    public void An_unknown_key_causes_a_warning_with_the_nearest_known_key(string yaml, string unknown, string nearest) =>
        Assert.Contains($"{unknown} is not a known key and is ignored; nearest known key: {nearest}", Load(VersionLine + yaml).Warnings);

    [Theory]
    [InlineData("frobnicate: x", "frobnicate is not a known key and is ignored")]
    [InlineData("http: {colour: x}", "http.colour is not a known key and is ignored")]
    [InlineData("log: {username: x}", "log.username is not a known key and is ignored")]
    [InlineData("storage: {filesystem: {rootdirectory: /x, maxsize: 1GiB}}",
        "storage.filesystem.maxsize is not a known key and is ignored")]
    public void A_key_that_is_like_no_other_is_not_taken_for_one(string yaml, string warning) =>
        Assert.Equal(warning, Assert.Single(Load(VersionLine + yaml).Warnings));

    [Theory]
    [InlineData("proxy:\nremoteurl: https://x", "remoteurl", "proxy.remoteurl")]
    [InlineData("http: {remoteurl: https://x}", "http.remoteurl", "proxy.remoteurl")]
    [InlineData("proxy: {remoteurl: https://x}\nusername: u", "username", "proxy.username")]
    [InlineData("proxy: {remoteurl: https://x}\npassword: p", "password", "proxy.password")]
    [InlineData("http:\n  proxy: {remoteurl: https://x}", "http.proxy", "proxy")]
    [InlineData("proxy:\nupstreams: [{remoteurl: https://x}]", "upstreams", "proxy.upstreams")]
    [InlineData("http:\n  auth: {htpasswd: {realm: r, path: p}}", "http.auth", "auth")]
    [InlineData("auth:\nhtpasswd: {realm: r, path: p}", "htpasswd", "auth.htpasswd")]
    [InlineData("http:\ntls: {certificate: c, key: k}", "tls", "http.tls")]
    [InlineData("http: {tls: , certificate: c}", "http.certificate", "http.tls.certificate")]
    [InlineData("storage:\nfilesystem: {rootdirectory: /x}", "filesystem", "storage.filesystem")]
    public void A_vital_key_in_the_wrong_place_prevents_a_start(string yaml, string path, string right) => Assert.Equal(
        $"{path} is not a known key, and ignoring it would not be safe; it is {right}: look at the indentation",
        Load(VersionLine + yaml).Errors[0]);

    [Fact]
    public void A_value_in_the_brackets_of_the_manual_is_read_without_them()
    {
        var loaded = Load(VersionLine + "proxy: {remoteurl: https://x, username: [me], password: [hunter2]}");

        Assert.Empty(loaded.Errors);
        Assert.Equal(("me", "hunter2"), (loaded.Options.Proxy.Username, loaded.Options.Proxy.Password));
        Assert.Equal(2, loaded.Warnings.Count(warning => warning.Contains("in brackets", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("http: {secret: 8letters}\nredis: {addrs: [\"x:6379\"], readonly: true}", "redis.readonly")]
    [InlineData("proxy: {ttl: 168h}", "proxy.ttl")]
    [InlineData("middleware: {repository: [{name: other, disabled: true}]}", "middleware.repository")]
    [InlineData("middleware: {registry: [{name: other, disabled: true}]}", "middleware.registry")]
    [InlineData("http: {h2c: {enabled: true}}", "http.h2c")]
    public void A_key_that_is_not_acted_on_causes_a_warning(string yaml, string path) =>
        Assert.StartsWith($"{path} has no effect: ", Assert.Single(Load(VersionLine + yaml).Warnings));

    [Theory]
    [InlineData("accelerate: true, regionendpoint: http://h", "accelerate has no effect with regionendpoint: ")]
    [InlineData("usedualstack: true, regionendpoint: http://h", "usedualstack has no effect with regionendpoint: ")]
    [InlineData("accelerate: true, forcepathstyle: true", "forcepathstyle has no effect with accelerate: ")]
    public void Keys_of_s3_with_which_registry2_starts_cause_a_warning(string keys, string warning)
    {
        var loaded = Load(VersionLine + $"storage: {{s3: {{bucket: b, {keys}}}}}");
        Assert.Empty(loaded.Errors);
        Assert.StartsWith($"storage.s3.{warning}", Assert.Single(loaded.Warnings));
    }

    [Fact]
    public void The_ttl_of_registry2_is_acted_on_and_a_warning_says_how() => Assert.StartsWith(
        "proxy.ttl: a mirrored image that no client has pulled for this time is removed",
        Assert.Single(Load(VersionLine + "proxy: {remoteurl: \"https://x\", ttl: 168h}").Warnings));

    [Theory]
    [InlineData("reporting: {bugsnag: {apikey: k}}", "reporting.bugsnag.apikey: Bugsnag's keys have 32 characters")]
    [InlineData("log: {hooks: [{type: slack}]}", "log.hooks.0.type: there is no hook \"slack\" here")]
    [InlineData("log: {hooks: [{type: mail, levels: [error], options: {smtp: {addr: \"m:25\"}, from: a@x}}]}",
        "log.hooks.0 sends no mail: it has no options.to")]
    [InlineData("log: {hooks: [{type: mail, levels: [eror], options: {smtp: {addr: \"m:25\"}, from: a@x, to: b@x}}]}",
        "log.hooks.0.levels: \"eror\" is no level and counts as panic")]
    public void A_hook_that_would_send_nothing_or_something_else_causes_a_warning(string yaml, string warning) =>
        Assert.StartsWith(warning, Assert.Single(Load(VersionLine + yaml).Warnings));

    [Theory]
    [InlineData("notifications: {endpoints: [{name: n, url: \"http://x\", headers: {content-length: [\"1\"]}}]}",
        "notifications.endpoints.0.headers.content-length is not sent: ")]
    [InlineData("health: {http: [{uri: \"http://x\", headers: {Transfer-Encoding: [gzip]}}]}",
        "health.http.0.headers.Transfer-Encoding is not sent: ")]
    public void A_header_that_belongs_to_the_connection_causes_a_warning(string yaml, string warning) =>
        Assert.StartsWith(warning, Assert.Single(Load(VersionLine + yaml).Warnings));

    [Theory]
    [InlineData("storage", "other")]
    [InlineData("registry", "cloudfront")]
    public void A_middleware_that_does_not_exist_prevents_a_start(string kind, string name) => Assert.Equal(
        $"middleware.{kind}.0.name: there is no middleware {name} here; remove it, or give it disabled: true",
        Assert.Single(Load(VersionLine + $"middleware: {{{kind}: [{{name: {name}}}]}}").Errors));

    [Fact]
    public void A_middleware_section_that_stands_twice_is_one()
    {
        var loaded = Load(VersionLine + "middleware:\n  storage: [{name: rewrite}]\n  storage: [{name: rewrite}]\n");

        Assert.Empty(loaded.Errors);
        Assert.Contains(loaded.Warnings, warning => warning.StartsWith("storage stands twice", StringComparison.Ordinal));
        Assert.Equal("rewrite", loaded.Values["middleware:storage:1:name"]);
    }

    [Fact]
    public void An_unknown_cipher_suite_prevents_a_start() => Assert.StartsWith(
        "http.tls.ciphersuites.0: \"TLS_RSA_WITH_RC4_128_SHA\" is not allowed: a cipher suite by its name of IANA",
        Assert.Single(Load(VersionLine + "http: {tls: {ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]}}").Errors));

    [Theory]
    [InlineData("http: {secret: [hunter2]}")]
    [InlineData("proxy: {password: {hunter2: hunter2}}")]
    [InlineData("proxy: {remoteurl: \"https://me:hunter2@docker.io\"}")]
    [InlineData("proxy: {pasword: hunter2}")]
    public void No_message_shows_a_secret(string yaml)
    {
        var loaded = Load(VersionLine + yaml);

        Assert.NotEmpty(loaded.Errors.Concat(loaded.Warnings));
        Assert.DoesNotContain(loaded.Errors.Concat(loaded.Warnings), message => message.Contains("hunter2", StringComparison.Ordinal));
    }
}
