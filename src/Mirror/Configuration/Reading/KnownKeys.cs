using static Mirror.Configuration.Reading.ValueRules;

namespace Mirror.Configuration.Reading;

/// <summary>
/// Every key of the configuration of <c>registry:2</c> and <c>registry:3</c>, and our own. A key sets the property of the same path in
/// <see cref="MirrorOptions"/>, unless its row, or a row above it, ends in <c>NotActedOn</c>, <c>NoEffect</c>, <c>Refused</c> or
/// <c>AliasOf</c>. To add a key: add its row, a property of its name with its default, and its line in docs/configuration.md. A test fails
/// while one of the three is missing, or while the defaults differ.
/// </summary>
internal static class KnownKeys
{
    private const string OtherDriver =
        "this storage driver is not available yet; available are filesystem, s3, azure, gcs, oss and inmemory";
    private const string NoLetsEncrypt =
        "certificates cannot be fetched yet, and plain HTTP would be unsafe; set http.tls.certificate and http.tls.key";

    public static readonly KnownKey Root = Section("",
        Value("version", OneOf("0.1")).Required().NoEffect(),
        Value("loglevel", Level).AliasOf("log.level"),
        Section("log",
            Value("level", Level),
            Value("formatter", Formatter),
            Map("fields", Value("*")),
            Section("accesslog", Value("disabled", TrueOrFalse)),
            Section("audit", Value("path")),
            Value("reportcaller", TrueOrFalse),
            HookKeys.Hooks),
        HookKeys.Reporting,
        Section("storage",
            Section("filesystem", Value("rootdirectory"), Value("maxthreads", Integer(min: 25)).NoEffect()).Vital(),
            Section("s3", S3Bucket).Vital(),
            Section("s3aws", S3Bucket).AliasOf("storage.s3").Vital(),
            Section("azure", AzureContainer).Vital(),
            Section("gcs", GcsBucket).Vital(),
            Anything("swift").Refused(OtherDriver),
            Section("oss", OssBucket).Vital(),
            Section("inmemory", Value("maxsize", Size(min: 1 << 20)), Value("scratchdirectory")).CountsEmpty().Vital(),
            Section("delete", Value("enabled", TrueOrFalse)),
            Section("redirect", Value("disable", TrueOrFalse)),
            Section("cache",
                Value("blobdescriptor", OneOf("none", "inmemory", "redis")),
                Value("layerinfo", OneOf("none", "inmemory", "redis")).AliasOf("storage.cache.blobdescriptor"),
                // Our cache in memory is limited by bytes, not by the number of entries.
                Value("blobdescriptorsize", Integer(min: 0)).NoEffect()),
            Section("tag", Value("concurrencylimit", Integer(min: 0))),
            Section("maintenance",
                Section("uploadpurging",
                    Value("enabled", TrueOrFalse),
                    Value("age", Duration),
                    Value("interval", Duration),
                    Value("dryrun", TrueOrFalse)),
                Section("readonly", Value("enabled", TrueOrFalse)).Vital(),
                Section("garbagecollect",
                    Value("enabled", TrueOrFalse),
                    Value("interval", Interval),
                    Value("grace", Duration),
                    Value("deleteuntagged", TrueOrFalse)))).Choice().Vital(),
        AccessKeys.Auth,
        AccessKeys.Access,
        Section("middleware", Middleware("registry"), Middleware("repository"), Middleware("storage")).NotActedOn(WhyNot.Middleware),
        Section("http",
            Value("addr", AddressOrSocket),
            Value("net", ValueRules.ListenNetwork),
            Value("prefix", UrlPrefix),
            Value("host", PublicUrl),
            Value("secret").Secret(),
            Value("relativeurls", TrueOrFalse),
            List("trusted_proxies", Value("*", Network)),
            Value("draintimeout", Duration),
            Value("idle_timeout", IdleTime),
            Map("headers", List("*", Value("*", HeaderValue))),
            AccessKeys.Cors,
            Section("tls",
                Value("certificate").Vital(),
                Value("key"),
                List("clientcas", Value("*")).Vital(),
                Value("clientauth", ValueRules.ClientAuth),
                Value("minimumtls", MinimumTls),
                List("ciphersuites", Value("*", CipherSuite)),
                Section("letsencrypt",
                    Value("cachefile").Refused(NoLetsEncrypt),
                    Value("email").Refused(NoLetsEncrypt),
                    List("hosts", Value("*")).Refused(NoLetsEncrypt),
                    Value("directoryurl").Refused(NoLetsEncrypt))).Vital(),
            Section("debug", Value("addr", Address), Section("prometheus", Value("enabled", TrueOrFalse), Value("path", UrlPath))),
            Section("http2", Value("disabled", TrueOrFalse)),
            Section("h2c", Value("enabled", TrueOrFalse)).NotActedOn(WhyNot.PlainHttp2)),
        Section("notifications",
            Section("events", Value("includereferences", TrueOrFalse)),
            List("endpoints", Section("*",
                Value("name").Required(),
                Value("disabled", TrueOrFalse),
                Value("url", EndpointUrl).Required(),
                Map("headers", List("*", Value("*", HeaderValue))).Secret(),
                Value("timeout", AttemptTimeout),
                Value("threshold", Integer(min: 0)),
                Value("backoff", Duration),
                List("ignoredmediatypes", Value("*")),
                Section("ignore",
                    List("mediatypes", Value("*")),
                    List("actions", Value("*", OneOf("pull", "push", "mount", "delete"))))))),
        Section("redis",
        [
            // 2.x: one address and a pool. We use one connection for everything, so there is no pool to set up.
            Value("addr", HostAndPort),
            Section("pool", [.. NoEffect(Integer(min: 0), "maxidle", "maxactive"), .. NoEffect(Duration, "idletimeout")]),
            // 3.x: the options of go-redis.
            List("addrs", Value("*", HostAndPort)),
            Value("clientname"),
            Value("db", Integer(min: 0)),
            Value("username"),
            Value("password").Secret(),
            Value("mastername"),
            Value("sentinelusername"),
            Value("sentinelpassword").Secret(),
            Value("dialtimeout", Duration),
            // One time limit, readtimeout, covers sending a command and reading its answer.
            Value("readtimeout", Duration),
            .. NoEffect(Duration, "writetimeout", "pooltimeout", "connmaxidletime", "connmaxlifetime"),
            .. NoEffect(Duration, "minretrybackoff", "maxretrybackoff"),
            .. NoEffect(Integer(min: 0), "poolsize", "minidleconns", "maxidleconns", "maxactiveconns"),
            .. NoEffect(Integer(), "protocol", "maxretries", "maxredirects"),
            .. NoEffect(TrueOrFalse, "contexttimeoutenabled", "poolfifo", "disableidentity", "unstableresp3"),
            Value("identitysuffix").NoEffect(),
            Value("readonly", TrueOrFalse).NotActedOn(WhyNot.RedisReplicas),
            Value("routebylatency", TrueOrFalse).NotActedOn(WhyNot.RedisReplicas),
            Value("routerandomly", TrueOrFalse).NotActedOn(WhyNot.RedisReplicas),
            Section("tls",
                Value("enabled", TrueOrFalse),
                Value("certificate"),
                Value("key"),
                List("rootcas", Value("*")),
                List("clientcas", Value("*")).NoEffect()),
        ]),
        Section("fleet", Value("address", PublicUrl), Value("leave", Duration)),
        Section("health",
            Section("storagedriver", Value("enabled", TrueOrFalse), Value("interval", UpToADay), Value("threshold", Integer(min: 0))),
            List("file", Section("*", Value("file").Required(), Value("interval", UpToADay), Value("threshold", Integer(min: 0)))),
            List("http", Section("*",
                Value("uri", EndpointUrl).Required(),
                Map("headers", List("*", Value("*", HeaderValue))).Secret(),
                Value("statuscode", Integer(100, 599)),
                Value("timeout", UpToADay),
                Value("interval", UpToADay),
                Value("threshold", Integer(min: 0)))),
            List("tcp", Section("*",
                Value("addr", HostAndPort).Required(),
                Value("timeout", UpToADay),
                Value("interval", UpToADay),
                Value("threshold", Integer(min: 0))))),
        Section("proxy",
        [
            .. OneUpstream,
            Value("tags_cache_ttl", Duration),
            Value("max_stale", Duration),
            Value("stale_while_revalidate", TrueOrFalse),
            List("immutable_tags", Value("*", TagPattern)),
            Value("stale_after", Duration),
            Value("fail_fast", Duration),
            Value("hold", Duration),
            Value("wait_limited", Duration),
            Value("max_size", Size(min: 1 << 20)),
            Value("min_free", Size(min: 1 << 20)),
            Value("any_ns", TrueOrFalse),
            Value("private_ttl", UpToADay),
            Value("complete", Complete),
            List("upstreams", Section("*", OneUpstream)).Vital(),
            Value("ttl", KeepTime),
            Value("cachewritetimeout", Duration).NoEffect(),
        ]).Vital(),
        Section("mirroring",
            Value("source", ValueRules.Upstream).AliasOf("proxy.remoteurl"),
            Value("source_index").NoEffect(),
            Value("tags_cache_ttl", Duration).AliasOf("proxy.tags_cache_ttl")),
        Section("hosted", List("repositories", Value("*", RepositoryPattern))),
        Section("compatibility",
            Section("schema1", Value("trustkey"), Value("signingkeyfile"), Value("enabled", TrueOrFalse))).NotActedOn(WhyNot.Schema1),
        Section("validation",
            // As in registry:2, disabled alone decides.
            Value("enabled", TrueOrFalse).NoEffect(),
            Value("disabled", TrueOrFalse),
            Section("manifests",
                Section("urls", List("allow", Value("*", Pattern)), List("deny", Value("*", Pattern))),
                Section("indexes",
                    Value("platforms", Platforms),
                    List("platformlist", Section("*", Value("architecture"), Value("os")))))),
        Section("policy", Section("repository", List("classes", Value("*")))),
        Section("catalog", Value("maxentries", Integer(min: 1))),
        Section("tags", Value("maxtags", Integer(min: 1))),
        Section("ui", Value("enabled", TrueOrFalse)));

    private static KnownKey[] S3Bucket =>
    [
        Value("accesskey"),
        Value("secretkey").Secret(),
        Value("sessiontoken").Secret(),
        Value("region"),
        Value("regionendpoint", StoreEndpoint),
        Value("redirectendpoint", StoreEndpoint),
        Value("forcepathstyle", TrueOrFalse),
        Value("bucket").Required(),
        Value("encrypt", TrueOrFalse),
        Value("keyid"),
        Value("secure", TrueOrFalse),
        Value("skipverify", TrueOrFalse),
        Value("v4auth", Version4Signatures).NoEffect(),
        Value("chunksize", Size(min: 5 << 20)),
        // Content gets its final name without a copy.
        Value("multipartcopychunksize", Size(min: 5 << 20)).NoEffect(),
        Value("multipartcopymaxconcurrency", Integer(min: 1)).NoEffect(),
        Value("multipartcopythresholdsize", Size(min: 0)).NoEffect(),
        Value("rootdirectory"),
        Value("storageclass"),
        Value("useragent").NotActedOn(WhyNot.UserAgent),
        Value("usedualstack", TrueOrFalse),
        Value("usefipsendpoint", TrueOrFalse),
        Value("accelerate", TrueOrFalse),
        Value("objectacl"),
        Value("loglevel").NotActedOn(WhyNot.StoreLog),
        Value("checksums", TrueOrFalse),
        .. Local,
    ];

    private static KnownKey[] GcsBucket =>
    [
        Value("bucket").Required(),
        Value("keyfile"),
        Map("credentials", Value("*")).Secret(),
        Value("rootdirectory"),
        Value("chunksize", Units),
        // A part of an upload waits for the part before it.
        Value("maxconcurrency", Integer(min: 1)).NoEffect(),
        Value("useragent").NotActedOn(WhyNot.UserAgent),
        Value("endpoint", StoreEndpoint),
        .. Local,
    ];

    private static KnownKey[] OssBucket =>
    [
        Value("accesskeyid").Required(),
        Value("accesskeysecret").Required().Secret(),
        Value("region").Required(),
        Value("bucket").Required(),
        Value("endpoint", StoreEndpoint),
        Value("internal", TrueOrFalse),
        Value("encrypt", TrueOrFalse),
        Value("secure", TrueOrFalse),
        Value("chunksize", Size(min: 5 << 20)),
        Value("rootdirectory"),
        .. Local,
    ];

    private static KnownKey[] AzureContainer =>
    [
        Value("accountname").Required(),
        Value("container").Required(),
        Value("accountkey", Base64).Secret(),
        Value("realm"),
        Value("serviceurl", PublicUrl),
        Value("rootdirectory"),
        Section("credentials",
            Value("type", AzureCredentials).Required(),
            Value("clientid"),
            Value("tenantid"),
            Value("secret").Secret()),
        // registry:3 reads it and never uses it.
        Value("connectionstring").Secret().NoEffect(),
        // They are about copies in the store. Content gets its final name without one.
        .. NoEffect(Text, "max_retries", "retry_delay"),
        Value("skipverify", TrueOrFalse),
        Value("chunksize", Size(min: 1 << 20)),
        .. Local,
    ];

    // What every bucket has on the machine of the server.
    private static KnownKey[] Local =>
        [Value("scratchdirectory"), Section("localcache", Value("path"), Value("maxsize", Size(min: 1)))];

    private static KnownKey[] OneUpstream =>
    [
        Value("name", UpstreamName),
        Value("remoteurl", ValueRules.Upstream).Vital(),
        Value("username"),
        Value("password").Secret(),
        Section("exec", Value("command").Required(), Value("lifetime", Duration)),
        Value("private", ValueRules.PrivateImages),
        List("credentials", Section("*", Value("username").Required(), Value("password").Required().Secret())),
        List("token_realms", Value("*", HostName)),
        Section("tls", Value("ca"), Value("certificate"), Value("key")),
        Value("parallel_ranges", Integer(1, 16)),
        Value("requests_per_second", Integer(1, 1000)),
        Value("response_timeout", AttemptTimeout),
        Value("idle_timeout", LongerThanZero),
        Value("allow_internal", TrueOrFalse),
        List("policies", Section("*",
            List("match", Value("*", RepositoryPattern)).Required(),
            Value("tags_cache_ttl", Duration),
            Value("max_stale", Duration),
            Value("stale_while_revalidate", TrueOrFalse),
            List("immutable_tags", Value("*", TagPattern)),
            Value("keep_deleted", KeepTime),
            Value("cooldown", Days),
            Value("cooldown_new", ValueRules.NewTags),
            Value("unused", KeepTime),
            Value("pinned", TrueOrFalse),
            Value("deny"),
            Value("allow", TrueOrFalse))).Vital(),
    ];

    private static KnownKey Middleware(string name) =>
        List(name, Section("*", Value("name").Required(), Value("disabled", TrueOrFalse), Anything("options")));

    internal static KnownKey Value(string name, ValueRule? rule = null) => new(name, KeyShape.Value) { Rule = rule ?? Text };

    private static IEnumerable<KnownKey> NoEffect(ValueRule rule, params string[] names) =>
        names.Select(name => Value(name, rule).NoEffect());

    internal static KnownKey Section(string name, params KnownKey[] children) => new(name, KeyShape.Section) { Children = children };

    internal static KnownKey List(string name, KnownKey entry) => new(name, KeyShape.List) { Entry = entry };

    internal static KnownKey Map(string name, KnownKey entry) => new(name, KeyShape.Map) { Entry = entry };

    internal static KnownKey Anything(string name) => new(name, KeyShape.Anything);
}
