using static Mirror.Configuration.Reading.KnownKeys;
using static Mirror.Configuration.Reading.ValueRules;

namespace Mirror.Configuration.Reading;

/// <summary>The rows of <see cref="KnownKeys"/> for the buckets of each service.</summary>
internal static class StorageKeys
{
    public static KnownKey[] S3Bucket =>
    [
        Value("accesskey"),
        Value("secretkey").Secret(),
        Value("sessiontoken").Secret(),
        Value("region"),
        Value("regionendpoint", StoreEndpoint),
        Value("redirectendpoint", StoreEndpoint),
        Value("forcepathstyle", TrueOrFalse),
        Value("bucket", Bucket).Required(),
        Value("encrypt", TrueOrFalse),
        Value("keyid"),
        Value("secure", TrueOrFalse),
        Value("skipverify", TrueOrFalse),
        Value("v4auth", Version4Signatures).NoEffect(),
        Value("chunksize", Size(min: 5 << 20, max: 5L << 30)),
        // Content gets its final name without a copy.
        Value("multipartcopychunksize", Size(min: 5 << 20)).NoEffect(),
        Value("multipartcopymaxconcurrency", Integer(min: 1)).NoEffect(),
        Value("multipartcopythresholdsize", Size(min: 0)).NoEffect(),
        Value("rootdirectory"),
        Value("storageclass", StorageClass),
        Value("useragent").NotActedOn(WhyNot.UserAgent),
        Value("usedualstack", TrueOrFalse),
        Value("usefipsendpoint", TrueOrFalse),
        Value("accelerate", TrueOrFalse),
        Value("objectacl"),
        Value("loglevel").NotActedOn(WhyNot.StoreLog),
        Value("checksums", TrueOrFalse),
        .. Local,
    ];

    public static KnownKey[] GcsBucket =>
    [
        Value("bucket", Bucket).Required(),
        Value("keyfile"),
        Map("credentials", Value("*")).Secret(),
        Value("rootdirectory"),
        Value("chunksize", Units),
        // A part of an upload waits for the part before it.
        Value("maxconcurrency", Integer()).NoEffect(),
        Value("useragent").NotActedOn(WhyNot.UserAgent),
        Value("endpoint", StoreEndpoint),
        .. Local,
    ];

    public static KnownKey[] OssBucket =>
    [
        Value("accesskeyid").Required(),
        Value("accesskeysecret").Required().Secret(),
        Value("region").Required(),
        Value("bucket", Bucket).Required(),
        Value("endpoint", StoreEndpoint),
        Value("internal", TrueOrFalse),
        Value("encrypt", TrueOrFalse),
        Value("secure", TrueOrFalse),
        Value("chunksize", Size(min: 5 << 20, max: 5L << 30)),
        Value("rootdirectory"),
        .. Local,
    ];

    public static KnownKey[] SwiftContainer =>
    [
        .. OpenStackLogin(isRequired: true),
        Value("container", Container).Required(),
        Value("prefix", PlainFolder),
        Value("rootdirectory").NotActedOn(WhyNot.SwiftRoot),
        Value("secretkey").Secret(),
        // What the server offers is asked from the server.
        .. NoEffect(Text, "accesskey", "tempurlcontainerkey"),
        List("tempurlmethods", Value("*")).NoEffect(),
        Value("chunksize", Size(min: 1 << 20, max: 5L << 30)),
        .. Local,
    ];

    public static KnownKey[] GlanceImages =>
    [
        .. OpenStackLogin(isRequired: false),
        Value("endpoint", EndpointUrl),
        Value("rootdirectory"),
        Value("container", Container),
        Value("prefix", PlainFolder),
        .. Local,
    ];

    public static KnownKey[] EllipticsObjects =>
    [
        List("endpoints", Value("*", EndpointUrl)).Required(),
        Value("bucket"),
        Value("username"),
        Value("token").Secret(),
        Value("rootdirectory"),
        .. Local,
    ];

    public static KnownKey[] AzureContainer =>
    [
        Value("accountname").Required(),
        Value("container", Container).Required(),
        Value("accountkey", Base64).Secret(),
        Value("realm"),
        Value("serviceurl", PublicUrl),
        Value("rootdirectory", AzureFolder),
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
        Value("chunksize", Size(min: 1 << 20, max: 4000L << 20)),
        .. Local,
    ];

    // Glance can be used without a log-in.
    private static KnownKey[] OpenStackLogin(bool isRequired)
    {
        KnownKey[] login = [Value("username"), Value("password").Secret(), Value("authurl", EndpointUrl)];
        return
        [
            .. isRequired ? login.Select(key => key.Required()) : login,
            Value("authversion", Integer(min: 1, max: 3)),
            Value("tenant"),
            Value("tenantid"),
            Value("domain"),
            Value("domainid"),
            Value("tenantdomain"),
            Value("tenantdomainid"),
            Value("trustid"),
            Value("region"),
            Value("endpointtype", OpenStackEndpoint),
            Value("insecureskipverify", TrueOrFalse),
        ];
    }

    // What every bucket has on the machine of the server.
    private static KnownKey[] Local =>
        [Value("scratchdirectory"), Section("localcache", Value("path"), Value("maxsize", Size(min: 1)))];
}
