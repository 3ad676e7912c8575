using Mirror.Configuration.Reading;
using YamlDotNet.RepresentationModel;

namespace Mirror.Tests.Configuration;

/// <summary>Every key of the full sample in the manual of <c>registry:2</c>, with values of our own that are not the defaults.</summary>
internal static class SampleOfRegistry2
{
    // In the order of the sample. A key in a list of sections has [] after the list.
    private const string Sample = """
        version = 0.1
        log.accesslog.disabled = true
        log.level = debug
        log.formatter = json
        log.fields.service = images
        log.fields.environment = lab
        log.hooks[].type = mail
        log.hooks[].disabled = true
        log.hooks[].levels = [error]
        log.hooks[].options.smtp.addr = mail.example:2525
        log.hooks[].options.smtp.username = ann
        log.hooks[].options.smtp.password = word
        log.hooks[].options.smtp.insecure = true
        log.hooks[].options.from = mirror@example.org
        log.hooks[].options.to = [ops@example.org]
        loglevel = error
        storage.filesystem.rootdirectory = /srv/images
        storage.filesystem.maxthreads = 50
        storage.azure.accountname = team
        storage.azure.accountkey = a2V5
        storage.azure.container = images
        storage.gcs.bucket = images
        storage.gcs.keyfile = /etc/key.json
        storage.gcs.credentials.type = service_account
        storage.gcs.credentials.project_id = p
        storage.gcs.credentials.private_key_id = k
        storage.gcs.credentials.private_key = key
        storage.gcs.credentials.client_email = a@example.org
        storage.gcs.credentials.client_id = c
        storage.gcs.credentials.auth_uri = https://a.example
        storage.gcs.credentials.token_uri = https://t.example
        storage.gcs.credentials.auth_provider_x509_cert_url = https://c.example
        storage.gcs.credentials.client_x509_cert_url = https://d.example
        storage.gcs.rootdirectory = /images
        storage.gcs.chunksize = 524288
        storage.s3.accesskey = a
        storage.s3.secretkey = s
        storage.s3.region = eu-central-1
        storage.s3.regionendpoint = http://store.example:9000
        storage.s3.bucket = images
        storage.s3.encrypt = true
        storage.s3.keyid = k
        storage.s3.secure = false
        storage.s3.v4auth = true
        storage.s3.chunksize = 6291456
        storage.s3.multipartcopychunksize = 6291456
        storage.s3.multipartcopymaxconcurrency = 7
        storage.s3.multipartcopythresholdsize = 6291456
        storage.s3.rootdirectory = /images
        storage.swift.username = ann
        storage.swift.password = word
        storage.swift.authurl = https://keystone.example/v3
        storage.swift.tenant = team
        storage.swift.tenantid = t1
        storage.swift.domain = d
        storage.swift.domainid = d1
        storage.swift.insecureskipverify = true
        storage.swift.region = north
        storage.swift.container = images
        storage.swift.rootdirectory = /images
        storage.oss.accesskeyid = a
        storage.oss.accesskeysecret = s
        storage.oss.region = oss-cn-beijing
        storage.oss.endpoint = images.example.org
        storage.oss.internal = true
        storage.oss.bucket = images
        storage.oss.encrypt = true
        storage.oss.secure = false
        storage.oss.chunksize = 6291456
        storage.oss.rootdirectory = /images
        storage.inmemory = {}
        storage.delete.enabled = true
        storage.redirect.disable = true
        storage.cache.blobdescriptor = redis
        storage.maintenance.uploadpurging.enabled = false
        storage.maintenance.uploadpurging.age = 48h
        storage.maintenance.uploadpurging.interval = 12h
        storage.maintenance.uploadpurging.dryrun = true
        storage.maintenance.readonly.enabled = true
        auth.silly.realm = r
        auth.silly.service = s
        auth.token.autoredirect = true
        auth.token.realm = https://auth.example/token
        auth.token.service = images
        auth.token.issuer = auth
        auth.token.rootcertbundle = /etc/bundle.pem
        auth.htpasswd.realm = r
        auth.htpasswd.path = /etc/passwd
        middleware.registry[].name = ours
        middleware.registry[].options.foo = 1
        middleware.repository[].name = ours
        middleware.repository[].options.foo = 1
        middleware.storage[].name = cloudfront
        middleware.storage[].options.baseurl = https://cdn.example/
        middleware.storage[].options.privatekey = /etc/cf.pem
        middleware.storage[].options.keypairid = K1
        middleware.storage[].options.duration = 50m
        middleware.storage[].options.ipfilteredby = awsregion
        middleware.storage[].options.awsregion = us-east-1, us-east-2
        middleware.storage[].options.updatefrenquency = 6h
        middleware.storage[].options.iprangesurl = https://ranges.example/list.json
        reporting.bugsnag.apikey = 0123456789abcdef0123456789abcdef
        reporting.bugsnag.releasestage = lab
        reporting.bugsnag.endpoint = https://bugs.example/
        reporting.newrelic.licensekey = eu01
        reporting.newrelic.name = images
        reporting.newrelic.verbose = true
        http.addr = localhost:5010
        http.prefix = /images/
        http.host = https://images.example:5010
        http.secret = long
        http.relativeurls = true
        http.draintimeout = 45s
        http.tls.certificate = /etc/cert.pem
        http.tls.key = /etc/cert.key
        http.tls.clientcas = [/etc/ca.pem]
        http.tls.letsencrypt.cachefile = /var/acme
        http.tls.letsencrypt.email = ops@example.org
        http.tls.letsencrypt.hosts = [images.example.org]
        http.debug.addr = localhost:5011
        http.debug.prometheus.enabled = true
        http.debug.prometheus.path = /numbers
        http.headers.X-Content-Type-Options = [nosniff]
        http.http2.disabled = true
        notifications.events.includereferences = true
        notifications.endpoints[].name = one
        notifications.endpoints[].disabled = true
        notifications.endpoints[].url = https://listener.example/
        notifications.endpoints[].headers = {X-Who: [us]}
        notifications.endpoints[].timeout = 2s
        notifications.endpoints[].threshold = 5
        notifications.endpoints[].backoff = 3s
        notifications.endpoints[].ignoredmediatypes = [application/json]
        notifications.endpoints[].ignore.mediatypes = [application/octet-stream]
        notifications.endpoints[].ignore.actions = [pull]
        redis.addr = redis.example:6379
        redis.password = word
        redis.db = 3
        redis.dialtimeout = 2s
        redis.readtimeout = 300ms
        redis.writetimeout = 400ms
        redis.pool.maxidle = 3
        redis.pool.maxactive = 4
        redis.pool.idletimeout = 60s
        health.storagedriver.enabled = true
        health.storagedriver.interval = 20s
        health.storagedriver.threshold = 2
        health.file[].file = /tmp/out
        health.file[].interval = 20s
        health.http[].uri = http://other.example/
        health.http[].headers.Authorization = [Basic YTpi]
        health.http[].statuscode = 204
        health.http[].timeout = 5s
        health.http[].interval = 20s
        health.http[].threshold = 2
        health.tcp[].addr = other.example:6379
        health.tcp[].timeout = 5s
        health.tcp[].interval = 20s
        health.tcp[].threshold = 2
        proxy.remoteurl = https://registry.example
        proxy.username = ann
        proxy.password = word
        compatibility.schema1.signingkeyfile = /etc/key.json
        compatibility.schema1.enabled = true
        validation.manifests.urls.allow = ["^https://a"]
        validation.manifests.urls.deny = ["^https://b"]
        """;

    /// <summary>The keys, with their values in YAML.</summary>
    public static readonly (string Key, string Value)[] Keys =
        [.. Sample.Split('\n').Select(line => line.Split(" = ")).Select(parts => (parts[0], parts[1]))];

    // Of each family a file has one group at most. The first one is what the file of a key in no group, or of another family, has.
    private static readonly string[][] Families =
    [
        ["storage.filesystem", "storage.azure", "storage.gcs", "storage.s3", "storage.swift", "storage.oss", "storage.inmemory"],
        ["", "auth.silly", "auth.token", "auth.htpasswd"],
        ["", "http.tls.letsencrypt", "http.tls.certificate,http.tls.key,http.tls.clientcas"],
        ["log.level", "loglevel"],
        ["", "middleware.registry", "middleware.repository"],
    ];

    /// <summary>The keys of a file that has this key too.</summary>
    public static IEnumerable<(string Key, string Value)> Beside(string key) => Keys.Where(other =>
        Families.FirstOrDefault(family => family.Any(group => IsIn(group, other.Key))) is not { } family
        || IsIn(Array.Find(family, group => IsIn(group, key)) ?? family[0], other.Key));

    private static bool IsIn(string groups, string key) => groups.Length > 0 && groups.Split(',').Any(group =>
        key == group || key.StartsWith($"{group}.", StringComparison.Ordinal) || key.StartsWith($"{group}[", StringComparison.Ordinal));

    /// <summary>A file with these keys.</summary>
    public static string Yaml(IEnumerable<(string Key, string Value)> keys)
    {
        YamlMappingNode root = [];
        foreach (var (key, value) in keys)
        {
            var map = root;
            var names = key.Split('.');
            foreach (var name in names[..^1])
                map = name.EndsWith("[]", StringComparison.Ordinal)
                    ? (YamlMappingNode)Child(map, name[..^2], () => new YamlSequenceNode(new YamlMappingNode()))[0]
                    : (YamlMappingNode)Child(map, name, () => new YamlMappingNode());
            map.Add(names[^1], YamlText.Parse(value));
        }
        return YamlText.Write(root);

        static YamlNode Child(YamlMappingNode map, string name, Func<YamlNode> make)
        {
            if (!map.Children.TryGetValue(new YamlScalarNode(name), out var child))
                map.Children[new YamlScalarNode(name)] = child = make();
            return child;
        }
    }
}
