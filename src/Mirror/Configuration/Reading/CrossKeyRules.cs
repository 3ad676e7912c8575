using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.Glance;
using Mirror.Storage.Buckets.S3;

namespace Mirror.Configuration.Reading;

/// <summary>Checks settings that are allowed alone, but not together or not without another one.</summary>
internal static class CrossKeyRules
{
    private static readonly string[] Drivers = ["filesystem", "s3", "azure", "gcs", "swift", "glance", "elliptics", "oss", "inmemory"];

    public static void Check(MirrorOptions options, IConfiguration values, Findings findings)
    {
        var (http, proxy) = (options.Http, options.Proxy);

        var isPath = http.Addr.Contains('/', StringComparison.Ordinal);
        if (http.Net is ListenNetwork.Unix && !isPath)
            findings.Errors.Add($"http.net: unix needs the path of a socket in http.addr, and \"{http.Addr}\" is none");
        if (http.Net is ListenNetwork.Tcp && isPath)
            findings.Errors.Add(http.Addr[0] is '/' or '.' or '@'
                ? $"http.addr: \"{http.Addr}\" is not allowed without http.net: unix"
                : $"http.addr: \"{http.Addr}\" is not allowed: it is host:port or :port, without a scheme and without a path");
        if (http.Net is ListenNetwork.Unix && options.SharesByRedis() && options.Fleet.Address is null)
            findings.Errors.Add("fleet.address: missing; with http.net: unix the other replicas cannot reach this one otherwise");
        if (http.Debug.Addr is { } debug && debug == http.Addr && ListenAddress.Parse(debug).Port != 0)
            findings.Errors.Add($"http.debug.addr: \"{debug}\" is not allowed: it must differ from http.addr");

        AccessKeyRules.Check(options, values, findings);
        MiddlewareRules.Check(options, values, findings);
        if (options.Storage.Cache.BlobDescriptor == "redis" && options.Redis.Servers().Count == 0)
            findings.Errors.Add("storage.cache.blobdescriptor: \"redis\" is not allowed: redis.addr names no server");
        if (options.Redis.Tls is { Certificate: null } != options.Redis.Tls is { Key: null })
            findings.Errors.Add("redis.tls.certificate and redis.tls.key are used together only; one is missing");
        if (http.Tls.Certificate is null != http.Tls.Key is null)
            findings.Errors.Add("http.tls: certificate and key are used together only; one is missing");

        CheckClientCertificates(http.Tls, findings);
        LetsEncryptRules.Check(http, findings);

        if (proxy.Hold > TimeSpan.Zero && proxy.FailFast is not null)
            findings.Errors.Add(
                "proxy.hold: not allowed with proxy.fail_fast: one waits for an upstream that does not answer, the other does not");

        foreach (var (i, upstream) in proxy.Upstreams.Index())
            if (upstream.RemoteUrl is null)
                findings.Errors.Add($"proxy.upstreams.{i}.remoteurl is missing: the registry's http or https URL");
        foreach (var (section, policies) in proxy.Upstreams.Select((upstream, i) => ($"proxy.upstreams.{i}.policies", upstream.Policies))
            .Prepend(("proxy.policies", proxy.Policies)))
            foreach (var (i, policy) in policies.Index())
                if (policy.Match is [])
                    findings.Errors.Add($"{section}.{i}.match: missing; patterns of repository names, such as \"library/*\", are required");
                else if (policy is { Deny: not null, Allow: true })
                    findings.Errors.Add($"{section}.{i}: deny and allow are not allowed together");
        foreach (var same in proxy.AllUpstreams().ToLookup(upstream => upstream.PathName).Where(same => same.Count() > 1))
        {
            var urls = string.Join(" and ", same.Select(upstream => upstream.Options.RemoteUrl!.OriginalString));
            findings.Errors.Add($"proxy.upstreams: \"{same.Key}\" is the name of {urls}; give one of them another name (name: ...)");
        }

        var storage = options.Storage;
        string[] drivers = [.. Drivers.Where(driver => values.GetSection($"storage:{driver}").Exists())];
        if (drivers.Length > 1)
            findings.Errors.Add($"storage: {string.Join(" and ", drivers)} are not allowed together: a store has one place for content");
        if (storage.S3 is { } s3)
            CheckS3(s3, findings);
        if (storage.Azure is { AccountKey: null, Credentials.Type: AzureCredentialType.SharedKey })
            findings.Errors.Add("storage.azure.accountkey: missing; credentials.type shared_key is used with it");
        if (storage.Azure is { Credentials: { Type: AzureCredentialType.ClientSecret } login }
            && (login.ClientId is null || login.TenantId is null || login.Secret is null))
            findings.Errors.Add("storage.azure.credentials: client_secret is used with clientid, tenantid and secret; one is missing");
        if (storage.Azure is { UsesKey: false, ServiceUrl: { } service }
            && !service.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
            findings.Errors.Add(
                $"storage.azure.serviceurl: \"{service}\" is not allowed without accountkey: tokens are sent by https only; "
                + "set an https address, or accountkey with credentials.type: shared_key");
        if (storage.Azure is { UsesKey: false, Credentials.TenantId: { } tenant }
            && !tenant.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-'))
            findings.Errors.Add(
                $"storage.azure.credentials.tenantid: \"{tenant}\" is not allowed: it is a UUID, or the tenant's domain");
        if (storage.Swift is { Version: null })
            findings.Errors.Add("storage.swift.authversion: missing; authurl does not contain v1, v2 or v3");
        if (storage.Glance is { } glance)
            CheckGlance(glance, findings);
        if (storage.Elliptics is { } elliptics && elliptics.Username is null != elliptics.Token is null)
            findings.Errors.Add("storage.elliptics: username and token are used together only; one is missing");
        if (storage.Bucket() is not null && proxy.MinFree is not null)
            findings.Errors.Add($"proxy.min_free: not available with storage.{storage.Driver}: a bucket has no volume that fills up");

        var endpoints = options.Notifications.Endpoints;
        foreach (var (i, endpoint) in endpoints.Index())
            if (!endpoint.Disabled && endpoints.Take(i).Any(other => !other.Disabled && other.Name == endpoint.Name))
                findings.Errors.Add(
                    $"notifications.endpoints.{i}.name: \"{endpoint.Name}\" is not allowed: another endpoint has this name");

        if (http.Tls is { CipherSuites.Length: > 0, MinimumTls: TlsVersion.Tls13 })
            findings.Warnings.Add("http.tls.ciphersuites has no effect with minimumtls: tls1.3: the suites of TLS 1.3 cannot be chosen");

        // A mistaken value has its default, so that a warning about it could be wrong.
        if (findings.Errors.Count > 0)
            return;

        if (http.Debug is { Addr: null, Prometheus.Enabled: true })
            findings.Warnings.Add("http.debug.prometheus.enabled has no effect without http.debug.addr");

        AccessKeyRules.Warn(options, findings);
        WarnOfHostedUpstreams(options, findings);
        MiddlewareRules.Warn(options, findings);
        HookKeys.Warn(options, findings);
        WarnOfHeaders(options, findings);
        if (options.SharesByRedis())
            RedisRules.Warn(options.Redis, http.Secret, findings);

        if (storage.Bucket() is { ScratchDirectory: not null, LocalCache.Path: not null })
            findings.Warnings.Add(
                $"storage.{storage.Driver}.scratchdirectory has no effect with storage.{storage.Driver}.localcache.path: "
                + "the local cache has its own scratch folder");

        if (proxy is { MaxSize: not null, HasUpstream: false })
            findings.Warnings.Add("proxy.max_size has no effect without an upstream: pushed content is never removed to make room");

        if (proxy is { MinFree: not null, HasUpstream: false })
            findings.Warnings.Add("proxy.min_free has no effect without an upstream: pushed content is never removed to make room");

        if (proxy.Ttl > TimeSpan.Zero)
            findings.Warnings.Add(proxy.HasUpstream
                ? "proxy.ttl: a mirrored image that no client has pulled for this time is removed, as if unused were set for all "
                    + "repositories; an entry of proxy.policies with unused decides for its own. registry:2 counted from the download"
                : "proxy.ttl has no effect: there is no upstream; pushed content is never removed for its age");

        if (proxy is { HasUpstream: false, Policies: not [] })
            findings.Warnings.Add("proxy.policies has no effect without an upstream: it is about mirrored repositories");

        if (proxy.RemoteUrl is null && (proxy.Username, proxy.Password, proxy.Exec) is not (null, null, null))
            findings.Warnings.Add("proxy has credentials but no remoteurl: this is a plain registry, and they are not used");
        else if (proxy.Exec is not null && (proxy.Username, proxy.Password) is not (null, null))
            findings.Warnings.Add("proxy.exec is used, and proxy.username and proxy.password are not");
        else if (proxy.Username is null != proxy.Password is null)
            findings.Warnings.Add("proxy.username and proxy.password are used together only; one is missing");
    }

    private static void WarnOfHostedUpstreams(MirrorOptions options, Findings findings)
    {
        foreach (var (i, (_, name)) in options.Proxy.AllUpstreams().Index())
        {
            var prefix = i == 0 && options.Proxy.RemoteUrl is not null ? "" : $"{name}/";
            var covering = options.Hosted.Repositories.FirstOrDefault(
                pattern => pattern is "**" or "*/**" || pattern == $"{prefix}**" || pattern == $"{prefix}*/**");
            if (covering is not null)
                findings.Warnings.Add(
                    $"hosted.repositories: \"{covering}\" matches every name of {name}, so nothing of it is mirrored: upstream is never "
                    + "asked for a hosted name; choose a narrower pattern, such as local/**");
        }
    }

    // Errors: without these keys every client would get in, and the operator wanted certificates.
    private static void CheckClientCertificates(TlsOptions tls, Findings findings)
    {
        if (tls is { ClientCas: not [], IsOn: false, Key: null })
            findings.Errors.Add(
                "http.tls.clientcas: not allowed without certificate and key, or letsencrypt: over plain HTTP no client shows a "
                + "certificate");
        if (tls is { ClientCas: [], ClientAuth: { } demand })
            (demand is ClientAuth.RequireAndVerify or ClientAuth.RequireAny ? findings.Errors : findings.Warnings).Add(
                "http.tls.clientauth: clientcas is missing, the files of the authorities; without them no client is asked");
    }

    private static void WarnOfHeaders(MirrorOptions options, Findings findings)
    {
        var sections = options.Notifications.Endpoints.Select((endpoint, i) => ($"notifications.endpoints.{i}", endpoint.Headers))
            .Concat(options.Health.Http.Select((check, i) => ($"health.http.{i}", check.Headers)));
        foreach (var (section, headers) in sections)
            foreach (var name in headers.Keys.Where(name => !ConfiguredHeaders.IsSent(name)))
                findings.Warnings.Add(
                    $"{section}.headers.{name} is not sent: this header belongs to the connection, and the server sets it");
    }

    private static void CheckS3(S3Options s3, Findings findings)
    {
        if (s3.AccessKey is null != s3.SecretKey is null)
            findings.Errors.Add("storage.s3: accesskey and secretkey are used together only; one is missing");
        (string Key, bool IsSet)[] ofAws = [("accelerate", s3.Accelerate), ("usedualstack", s3.UseDualStack)];
        if (s3.RegionEndpoint is not null)
            foreach (var (key, _) in ofAws.Where(key => key.IsSet))
                findings.Warnings.Add(
                    $"storage.s3.{key} has no effect with regionendpoint: it chooses one of the addresses of AWS; remove one of the two");
        else if (s3 is { Accelerate: true, ForcePathStyle: true })
            findings.Warnings.Add(
                "storage.s3.forcepathstyle has no effect with accelerate: AWS accelerates only addresses that begin with the bucket's "
                + "name; remove one of the two");
        // An error: the connection would not be what this setting promises.
        if (s3 is { RegionEndpoint: not null, UseFipsEndpoint: true })
            findings.Errors.Add(
                "storage.s3.usefipsendpoint: not allowed with regionendpoint: it chooses one of the addresses of AWS; remove one of the "
                + "two");
    }

    private static void CheckGlance(GlanceOptions glance, Findings findings)
    {
        if (glance is { AuthUrl: "", Endpoint: null })
            findings.Errors.Add("storage.glance: authurl, username and password are missing, or endpoint for a Glance without a log-in");
        else if (glance.AuthUrl.Length == 0 && glance.Container is not null)
            findings.Errors.Add("storage.glance.authurl: missing; container is in Swift, which has a log-in");
        else if (glance.AuthUrl.Length > 0 && (glance.Username.Length == 0 || glance.Password.Length == 0))
            findings.Errors.Add("storage.glance: authurl is used with username and password; one is missing");
        else if (glance is { AuthUrl.Length: > 0, Version: null })
            findings.Errors.Add("storage.glance.authversion: missing; authurl does not contain v1, v2 or v3");
        else if (glance is { Version: 1, Endpoint: null })
            findings.Errors.Add("storage.glance.endpoint: missing; version 1 of the log-in has no catalogue with Glance's address");
    }
}
