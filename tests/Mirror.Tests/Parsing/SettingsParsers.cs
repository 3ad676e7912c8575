using Mirror.Configuration;
using Mirror.Configuration.Old;
using Mirror.Configuration.Reading;
using Xunit;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Tests.Parsing;

/// <summary>The parsers of settings, and of the environment.</summary>
internal static class SettingsParsers
{
    private const string Old = """
        common: &common
          loglevel: _env:LOGLEVEL:info
          storage: _env:STORAGE_TYPE:s3
          s3_bucket: _env:AWS_BUCKET
          boto_host: h
        dev:
          <<: *common
          storage_path: _env:STORAGE_PATH:/tmp/registry
        """;

    public static readonly Dictionary<string, Parser> Rows = new()
    {
        ["duration"] = new(
            ["10m", "1h30m", "1.5h", "500ms", "600", "-1s", "9223372036854775807h", "0.00000000001ns", "30d"],
            static (_, text) => Durations(text)),
        ["address"] = new(
            [":5000", "[::1]:5000", "localhost:5000", "0.0.0.0:65535"], static (_, text) => ListenAddress.TryParse(text, out var _)),
        ["no-proxy"] = new(
            ["a.example,.b.example:80,10.0.0.0/8,::1,*", "[::1]:443", "1.2.3.4:80", "xn--a.example"], static (_, text) => Proxies(text)),
        ["search-database"] = new(
            ["sqlite:////a/b.db", "mysql://u:p%40@h:1/d", "postgresql+psycopg2://[::1]/d"],
            static (_, text) =>
            {
                if (SearchDatabase.TryParse(text, out var database))
                    Assert.NotEmpty($"{database.Path}{database}");
            }),
        ["yaml"] = new(
            [
                "version: 0.1\nproxy: {remoteurl: https://registry.example}\n", "a: &x {b: 1}\nc: {<<: *x, d: [1, 2]}\n",
                "a: |\n  text\nb: 'c'\n", "proxy:\n  upstreams:\n  - {name: a, remoteurl: b}\n",
            ],
            static (_, text) => Yaml(text)),
        ["settings"] = new(
            [
                "version: 0.1\nproxy: {remoteurl: https://a.example, ttl: 1h}\nhttp: {addr: ':5000', trusted_proxies: [10.0.0.0/8]}\n",
                "version: 0.1\nstorage: {s3: {bucket: b, region: r}, redirect: {disable: true}}\nauth: {htpasswd: {realm: r, path: p}}\n",
                "version: 0.1\nnotifications: {endpoints: [{name: a, url: 'http://b', timeout: 1s}]}\nredis: {addr: 'a:1'}\n",
            ],
            static (place, text) => Settings(place, text, Variables(Comments(text))), IsSlow: true),
        ["environment"] = new(
            [
                "REGISTRY_HTTP_ADDR=:5000\nREGISTRY_PROXY_REMOTEURL=https://a.example", "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME=a",
                "REGISTRY_STORAGE={s3: {bucket: b}}\nREGISTRY_STORAGE_S3_REGION=r", "REGISTRY_HTTP_HEADERS_X-A_0=b", "REGISTRY_=",
            ],
            static (place, text) => Settings(place, "version: 0.1\n", Variables(text)), IsSlow: true),
        ["old-settings"] = new(
            [
                Old, "dev:\n  storage: local\n  storage_path: /a\nprod: {storage: swift, swift_authurl: _env:A:b}\n",
                "dev: {storage: azureblob, azure_container: c}\n",
                "dev: {storage: gcs, gs_access_key: a, mirroring: {source: 'https://b'}}\n",
                "dev: {storage: oss, oss_bucket: b, email_exceptions: {smtp_host: h}, bugsnag: k}\n",
            ],
            static (place, text) => Settings(place, text, Variables(Comments(text))), IsSlow: true),
        ["old-environment"] = new(
            [
                "GUNICORN_OPTS=[--preload, --certfile=a, --bind, b]\nREGISTRY_PORT=5000\nREGISTRY_HOST=::",
                "SETTINGS_FLAVOR=dev\nAWS_BUCKET=b",
                "GUNICORN_OPTS=--keyfile a -b :1 --x\nGUNICORN_GRACEFUL_TIMEOUT=7\nLOGLEVEL='#'", "SETTINGS_FLAVOR=none",
            ],
            static (place, text) => OldEnvironment(place, text), IsSlow: true),
        ["boto"] = new(
            ["[Credentials]\ns3_host = h\ns3_port=1\n", "# a\n[Credentials]\nboto_host=h\n"],
            static (place, text) => Botos(place, text), IsSlow: true),
    };

    private static void Durations(string text)
    {
        Assert.True(!GoDuration.TryParseOrDays(text, out var days) || days >= TimeSpan.Zero || text[0] == '-');
        if (GoDuration.TryParse(text, out var duration))
        {
            Assert.True(GoDuration.TryParse(GoDuration.Format(duration), out var again), text);
            Assert.Equal(duration, again);
        }
    }

    private static void Proxies(string text)
    {
        var proxy = new EnvironmentProxy(
            new Dictionary<string, string> { ["NO_PROXY"] = text, ["HTTP_PROXY"] = text, ["https_proxy"] = "http://p:1" });
        proxy.GetProxy(new Uri("https://a.example/"));
        foreach (var url in new[] { "http://[::1]:80/", "http://localhost/", "https://10.0.0.1/", "http://1.2.3.4/", "ftp://a.example/" })
            proxy.GetProxy(new Uri(url));
    }

    private static void Botos(ParserPlace place, string text)
    {
        // A host in the settings themselves would count, and the file would not be read.
        var settings = Old.Replace("  boto_host: h\n", "", StringComparison.Ordinal);
        var path = place.Write(".boto", text);
        foreach (var (variable, value) in new[] { ("BOTO_CONFIG", path), ("HOME", place.Folder.Path), ("X", "") })
            Settings(place, settings, new() { [variable] = value, ["AWS_BUCKET"] = "b" });
    }

    // Variables; after an empty line the file, if it is another one; after a second empty line the file of New Relic.
    private static void OldEnvironment(ParserPlace place, string text)
    {
        var parts = text.Split("\n\n", 3);
        var environment = Variables(parts[0]);
        place.Write("newrelic.ini", parts.ElementAtOrDefault(2) ?? "");
        Settings(place, parts.ElementAtOrDefault(1) is { Length: > 0 } file ? file : Old, environment);
        // Without a file the sample is read, whose variables have second names.
        environment.Remove(OldFile.PathVariable);
        environment.Remove(ConfigurationFile.PathVariable);
        Settings(place, file: null, environment);
    }

    // A file of settings sets variables in its comments, of which its parser sees nothing.
    private static string Comments(string text) =>
        string.Join('\n', text.Split('\n').Where(line => line is ['#', ..]).Select(line => line[1..]));

    private static Dictionary<string, string> Variables(string text) => text.Split('\n')
        .Select(line => line.Split('=', 2)).Where(pair => pair is [{ Length: > 0 }, _])
        .DistinctBy(pair => pair[0]).ToDictionary(pair => pair[0], pair => pair[1]);

    private static void Yaml(string text)
    {
        try
        {
            var root = YamlText.Parse(text);
            Assert.True(root.IsEmpty || root.NodeType is not YamlNodeType.Scalar || root.ToString().Length > 0);
            foreach (var child in (root as YamlMappingNode)?.Children.Values ?? [])
                _ = child.IsEmpty;
        }
        catch (YamlException failure)
        {
            Assert.StartsWith("line ", YamlText.Explain(text, failure));
        }
    }

    // Mistakes are told, and never thrown. A variable names a file of the folder by HERE.
    private static void Settings(ParserPlace place, string? file, Dictionary<string, string> environment)
    {
        foreach (var (name, value) in environment.ToList())
            environment[name] = value.Replace("HERE", place.Folder.Path, StringComparison.Ordinal);
        var configuration = MirrorConfiguration.Load(file is null ? null : place.Write("config.yml", file), environment);
        Assert.All(configuration.Errors.Concat(configuration.Warnings), Assert.NotEmpty);
    }
}
