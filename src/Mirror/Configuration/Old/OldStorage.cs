using Mirror.Storage.Buckets.Swift;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The keys of docker-registry 0.x about where content is kept.</summary>
internal static class OldStorage
{
    public const string DefaultFolder = "/tmp/registry";
    private const string GoogleHost = "storage.googleapis.com";
    private const string Emulator = "devstoreaccount1";

    private static readonly string[] ProxyVariables = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

    // The keys of each kind of store begin so.
    private static readonly (string Kind, string[] Prefixes)[] Kinds =
    [
        ("s3", ["s3_", "boto_", "cloudfront"]), ("azureblob", ["azure_"]), ("gcs", ["gs_", "boto_", "oauth2"]), ("swift", ["swift_"]),
        ("glance", ["storage_alternate"]), ("elliptics", ["elliptics_"]), ("oss", ["oss_"]),
    ];

    public static void Translate(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        var kind = old["storage"] ?? "local";
        switch (kind)
        {
            case "local" or "file":
                old.Set("storage.filesystem.rootdirectory", DefaultFolder);
                old.Take("storage_path", "storage.filesystem.rootdirectory");
                old.Say("storage", OldKeyFate.Taken, "storage.filesystem");
                old.Say("storage_redirect", OldKeyFate.WithoutEffect, "a folder has no address to send clients to");
                break;
            case "s3":
                S3(old, environment);
                break;
            case "azureblob":
                Azure(old);
                break;
            case "swift":
                Swift(old);
                break;
            case "gcs":
                Google(old, environment);
                break;
            case "oss":
                Oss(old);
                break;
            case "glance" or "openstack":
                OldGlance.Translate(old, environment);
                break;
            case "elliptics":
                OldElliptics.Translate(old);
                break;
            default:
                old.Say("storage", OldKeyFate.Refused,
                    $"{kind} is not known; available are local, s3, azureblob, gcs, swift, glance, elliptics and oss");
                break;
        }
        var isRefused = old.Fates.Any(fate => fate is { Name: "storage", Fate: OldKeyFate.Refused });
        foreach (var prefix in Kinds.Where(other => isRefused || other.Kind != kind).SelectMany(other => other.Prefixes))
            old.SayOfAll(prefix, OldKeyFate.WithoutEffect, isRefused ? "storage is refused" : $"the store is {kind}");
        if (isRefused)
            old.SayOfAll("storage_", OldKeyFate.WithoutEffect, "storage is refused");
    }

    private static void S3(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        // boto_bucket is the one that was used.
        var bucket = old.Has("boto_bucket") ? "boto_bucket" : "s3_bucket";
        if (!old.Has(bucket))
        {
            old.Say("storage", OldKeyFate.Refused, "s3 needs boto_bucket, the name of the bucket (variable AWS_BUCKET in the sample)");
            return;
        }
        old.Say("storage", OldKeyFate.Taken, "storage.s3");
        Bucket(old, bucket);
        old.Say("s3_bucket", OldKeyFate.WithoutEffect, "boto_bucket is the one that counts");
        old.Take(bucket, "storage.s3.bucket");
        old.Take("s3_region", "storage.s3.region");
        old.Take("s3_access_key", "storage.s3.accesskey");
        old.Take("s3_secret_key", "storage.s3.secretkey");
        old.Take("s3_encrypt", "storage.s3.encrypt");
        old.Take("s3_secure", "storage.s3.secure");
        old.Say("s3_use_sigv4", OldKeyFate.WithoutEffect, "requests are always signed with version 4");
        if (!Boto(old, environment, old.Flag("s3_secure") != false) && BotoFile.Read(environment) is { } file)
        {
            old.Set("storage.s3.regionendpoint", Endpoint(file.Host, file.Port, old.Flag("s3_secure") != false));
            old.Say(file.Path, file.Host, OldKeyFate.Taken, "storage.s3.regionendpoint");
        }
        CloudFront(old);
    }

    private static void CloudFront(OldSettings old)
    {
        const string options = "middleware.storage, cloudfront";
        if (!old.Has("cloudfront.base"))
        {
            old.SayOfAll("cloudfront.", OldKeyFate.WithoutEffect, "cloudfront.base is not set");
            return;
        }
        YamlMappingNode settings = new(new YamlScalarNode("duration"), new YamlScalarNode("60s"));
        foreach (var (name, key) in new[] { ("base", "baseurl"), ("keyid", "keypairid"), ("keysecret", "privatekey") })
        {
            if (old[$"cloudfront.{name}"] is { } value)
                settings.Add(key, value);
            old.Say($"cloudfront.{name}", OldKeyFate.Taken, $"{options}: {key}");
        }
        old.Set("middleware.storage", new YamlSequenceNode(
            new YamlMappingNode(new YamlScalarNode("name"), new YamlScalarNode("cloudfront"), new YamlScalarNode("options"), settings)));
    }

    private static void Oss(OldSettings old)
    {
        const string domain = ".aliyuncs.com", inside = "-internal";
        var host = old["oss_host"]?.Split('/', StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? "";
        if (!host.EndsWith(domain, StringComparison.OrdinalIgnoreCase) || !old.Has("oss_bucket"))
        {
            old.Say("storage", OldKeyFate.Refused,
                "OSS is used through its interface of S3: set oss_bucket, and oss_host to the host of the region, such as "
                + "oss-cn-hangzhou.aliyuncs.com or oss-cn-hangzhou-internal.aliyuncs.com");
            return;
        }
        old.Say("storage", OldKeyFate.Taken, "storage.oss");
        var region = host[..^domain.Length];
        var isInside = region.EndsWith(inside, StringComparison.OrdinalIgnoreCase);
        region = isInside ? region[..^inside.Length] : region;
        // The host that OSS had for its first region.
        old.Take("oss_host", "storage.oss.region", region is "oss" ? "oss-cn-hangzhou" : region);
        if (isInside)
            old.Set("storage.oss.internal", "true");
        old.Take("oss_bucket", "storage.oss.bucket");
        old.Take("oss_accessid", "storage.oss.accesskeyid");
        old.Take("oss_accesskey", "storage.oss.accesskeysecret");
        old.Set("storage.oss.rootdirectory", "/registry/");
        old.Take("storage_path", "storage.oss.rootdirectory");
        Redirect(old);
    }

    // Of all three: the folder, and whether clients are sent to the store.
    private static void Bucket(OldSettings old, string bucket)
    {
        old.Set("storage.s3.bucket", old[bucket] ?? "");
        old.Set("storage.s3.rootdirectory", "/registry");
        old.Take("storage_path", "storage.s3.rootdirectory");
        Redirect(old);
    }

    private static void Redirect(OldSettings old)
    {
        var redirects = old.Flag("storage_redirect") == true;
        old.Set("storage.redirect.disable", redirects ? "false" : "true");
        old.Say("storage_redirect", OldKeyFate.Taken, $"storage.redirect.disable, {(redirects ? "false" : "true")}");
    }

    // The address of the store; false where there is none.
    private static bool Boto(OldSettings old, IReadOnlyDictionary<string, string> environment, bool isSecure)
    {
        const string endpoint = "storage.s3.regionendpoint";
        if (old["boto_host"] is { } host)
            old.Take("boto_host", endpoint, Endpoint(host, old["boto_port"], isSecure));
        var (fate, text) = old.Has("boto_host") ? (OldKeyFate.Taken, endpoint) : (OldKeyFate.WithoutEffect, "boto_host is not set");
        old.Say("boto_port", fate, text);
        old.Take("boto_calling_format", "storage.s3.forcepathstyle",
            old["boto_calling_format"]?.EndsWith("OrdinaryCallingFormat", StringComparison.Ordinal) == true ? "true" : "false");
        old.Say("boto_debug", OldKeyFate.WithoutEffect, "the log says what fails; log.level: debug says more");
        Proxy(old, environment);
        return old.Has("boto_host");
    }

    // A program that cannot reach its bucket without the proxy must not find that out at the first pull.
    private static void Proxy(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        if (old["boto_proxy"] is not { } host)
        {
            old.SayOfAll("boto_proxy", OldKeyFate.WithoutEffect, "boto_proxy is not set");
            return;
        }
        var isSet = ProxyVariables.Any(name => OldFile.Value(environment, name) is not null);
        old.Say("boto_proxy", isSet ? OldKeyFate.WithoutEffect : OldKeyFate.Refused, isSet
            ? "the proxy of the environment is used"
            : $"a proxy is set by variables: HTTPS_PROXY=http://{host}:{old["boto_proxy_port"] ?? "8080"}, HTTP_PROXY for a store "
                + "without TLS, and NO_PROXY for what is asked directly");
        old.SayOfAll("boto_proxy", OldKeyFate.WithoutEffect, "a proxy is set by variables: HTTPS_PROXY, HTTP_PROXY, NO_PROXY");
    }

    private static void Google(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        if (!old.Has("boto_bucket"))
        {
            old.Say("storage", OldKeyFate.Refused, "gcs needs boto_bucket, the name of the bucket (variable GCS_BUCKET in the sample)");
            return;
        }
        if (!old.Has("gs_access_key"))
        {
            GoogleLogin(old, environment);
            return;
        }
        Bucket(old, "boto_bucket");
        old.Say("storage", OldKeyFate.Taken, "storage.s3: Google's interface of S3, with the interoperable keys");
        old.Take("boto_bucket", "storage.s3.bucket");
        old.Take("gs_access_key", "storage.s3.accesskey");
        old.Take("gs_secret_key", "storage.s3.secretkey");
        var isSecure = old.Flag("gs_secure") != false;
        old.Set("storage.s3.regionendpoint", Endpoint(GoogleHost, port: null, isSecure));
        old.Say("gs_secure", OldKeyFate.Taken, "storage.s3.regionendpoint");
        Boto(old, environment, isSecure);
        old.Say("oauth2", OldKeyFate.WithoutEffect, "the keys are used");
    }

    // With oauth2, and where there are no keys: Google's default credentials, as the library of Google finds them.
    private static void GoogleLogin(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        old.Say("storage", OldKeyFate.Taken,
            "storage.gcs, with Google's default credentials: GOOGLE_APPLICATION_CREDENTIALS names the file of a service account's key");
        old.Set("storage.gcs.bucket", old["boto_bucket"]!);
        old.Take("boto_bucket", "storage.gcs.bucket");
        old.Set("storage.gcs.rootdirectory", "/registry");
        old.Take("storage_path", "storage.gcs.rootdirectory");
        Redirect(old);
        old.Say("oauth2", OldKeyFate.Taken, "storage.gcs, with Google's default credentials");
        old.Say("gs_secure", old.Flag("gs_secure") == false ? OldKeyFate.NotDone : OldKeyFate.Taken, "storage.gcs uses TLS always");
        old.SayOfAll("gs_", OldKeyFate.WithoutEffect, "gs_access_key is not set, and Google's default credentials are used");
        Proxy(old, environment);
        old.SayOfAll("boto_", OldKeyFate.WithoutEffect, "storage.gcs is used through Google's own interface");
        foreach (var name in new[] { "OAUTH2_CLIENT_ID", "OAUTH2_CLIENT_SECRET" })
            if (OldFile.Value(environment, name) is { } value)
                old.Say(name, value, OldKeyFate.NotDone,
                    "no user logs in here; GOOGLE_APPLICATION_CREDENTIALS names a service account's key");
    }

    private static void Azure(OldSettings old)
    {
        const string account = "azure_storage_account_name";
        if (old[account] is not { } name)
        {
            old.Say("storage", OldKeyFate.Refused,
                $"azureblob needs {account}, the name of the account (variable AZURE_STORAGE_ACCOUNT_NAME in the sample)");
            return;
        }
        old.Say("storage", OldKeyFate.Taken, "storage.azure; a container that this makes is not open to the public, as it was before");
        old.Take(account, "storage.azure.accountname");
        old.Take("azure_storage_account_key", "storage.azure.accountkey");
        old.Set("storage.azure.container", "registry");
        old.Take("azure_storage_container", "storage.azure.container");
        if (old.Flag("azure_use_https") == false)
            old.Take("azure_use_https", "storage.azure.serviceurl",
                name is Emulator ? $"http://127.0.0.1:10000/{Emulator}" : $"http://{name}.blob.core.windows.net");
        old.Say("azure_use_https", OldKeyFate.Taken, "storage.azure.serviceurl");
        old.Say("storage_path", OldKeyFate.WithoutEffect, "it never had one with azureblob: names begin at the top of the container");
        Redirect(old);
    }

    private static void Swift(OldSettings old)
    {
        if (old["swift_authurl"] is not { } url || !old.Has("swift_user") || !old.Has("swift_password"))
        {
            old.Say("storage", OldKeyFate.Refused, "swift needs swift_authurl, swift_user and swift_password (variables OS_AUTH_URL, "
                + "OS_USERNAME and OS_PASSWORD in the sample)");
            return;
        }
        old.Say("storage", OldKeyFate.Taken, "storage.swift");
        old.Take("swift_authurl", "storage.swift.authurl");
        old.Take("swift_user", "storage.swift.username");
        old.Take("swift_password", "storage.swift.password");
        old.Take("swift_tenant_name", "storage.swift.tenant");
        old.Take("swift_region_name", "storage.swift.region");
        old.Set("storage.swift.container", "dev_container");
        old.Take("swift_container", "storage.swift.container");
        if (old.Has("swift_auth_version"))
            old.Take("swift_auth_version", "storage.swift.authversion", old["swift_auth_version"]?.Split('.')[0]);
        else if (new SwiftOptions { AuthUrl = url }.Version is null)
            old.Set("storage.swift.authversion", "2");
        old.Say("swift_cacert", OldKeyFate.NotDone, "the machine's certificates are used: SSL_CERT_FILE names others");
        old.Say("swift_object_storage_url", OldKeyFate.NotDone, "the address is the one that swift_authurl tells");
        old.Set("storage.swift.prefix", "/registry");
        old.Take("storage_path", "storage.swift.prefix");
        Redirect(old);
    }

    private static string Endpoint(string host, string? port, bool isSecure) =>
        $"{(isSecure ? "https" : "http")}://{host}{(port is null ? "" : $":{port}")}";
}
