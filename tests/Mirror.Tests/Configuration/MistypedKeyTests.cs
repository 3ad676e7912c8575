using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary>A mistyped key that would make the server something else prevents the start; a key of another program does not.</summary>
public sealed class MistypedKeyTests
{
    private const string Htpasswd = "{htpasswd: {realm: r, path: /dev/null}}";

    [Theory]
    [InlineData("Auth: " + Htpasswd, "Auth")]
    [InlineData("authentication: " + Htpasswd, "authentication")]
    [InlineData("auht: " + Htpasswd, "auht")]
    [InlineData("login: " + Htpasswd, "login")]
    [InlineData("acess: {rules: [{who: {users: [a]}}]}", "acess")]
    [InlineData("access: {rule: [{who: {users: [a]}}]}", "access.rule")]
    [InlineData("http: {TLS: {certificate: c, key: k}}", "http.TLS")]
    [InlineData("http: {ssl: {certificate: c, key: k}}", "http.ssl")]
    [InlineData("http: {tls: {certificates: c, keys: k}}", "http.tls.certificates")]
    [InlineData("htp: {tls: {certificate: c, key: k}}", "htp")]
    [InlineData("proxy: {remotUrl: x}", "proxy.remotUrl")]
    [InlineData("proxy: {remoteURL: https://x}", "proxy.remoteURL")]
    [InlineData("proxy: {url: https://x}", "proxy.url")]
    [InlineData("proxy: {url: https://x, username: u, password: p}", "proxy.url")]
    [InlineData("Proxy: {remoteurl: https://x}", "Proxy")]
    [InlineData("proxies: {remoteurl: https://x}", "proxies")]
    [InlineData("proxy: {\u00A0remoteurl: https://x}", "proxy.\\u00A0remoteurl")]
    [InlineData("proxy: {remoteurl: https://x, policy: [{match: a/b, deny: no}]}", "proxy.policy")]
    [InlineData("proxy: {remoteurl: https://x, policy: {match: a/b, deny: no}}", "proxy.policy")]
    [InlineData("proxy: {remoteurl: https://x, policies: [{match: a/b, Deny: no}]}", "proxy.policies.0.Deny")]
    [InlineData("http: {address: '127.0.0.1:5000'}", "http.address")]
    [InlineData("http: {adr: '127.0.0.1:5000'}", "http.adr")]
    [InlineData("http: {Addr: '127.0.0.1:5000'}", "http.Addr")]
    [InlineData("http: {listen: '127.0.0.1:5000'}", "http.listen")]
    [InlineData("http: {host_port: '127.0.0.1:5000'}", "http.host_port")]
    [InlineData("http: {bind: 127.0.0.1}", "http.bind")]
    [InlineData("http: {port: 5000}", "http.port")]
    [InlineData("http: {addr: null, port: 5000}", "http.port")]
    [InlineData("addr: '127.0.0.1:5000'\nhttp:", "addr")]
    [InlineData("Storage: {filesystem: {rootdirectory: /x}}", "Storage")]
    [InlineData("store: {filesystem: {rootdirectory: /x}}", "store")]
    [InlineData("storage: {filesystem: {rootDirectory: /x}}", "storage.filesystem.rootDirectory")]
    [InlineData("storage: {filesystem: {path: /x}}", "storage.filesystem.path")]
    [InlineData("storage: {maintenance: {readOnly: {enabled: true}}}", "storage.maintenance.readOnly")]
    [InlineData("storage: {maintenance: {readonly: {enable: true}}}", "storage.maintenance.readonly.enable")]
    public void It_prevents_a_start_if_ignoring_it_would_not_be_safe(string yaml, string path) => Assert.StartsWith(
        $"{path} is not a known key, and ignoring it would not be safe", Load(VersionLine + yaml).Errors[0]);

    [Theory]
    [InlineData("proxy: {upstreams: {ghcr.io: https://ghcr.io}}", "proxy.upstreams", "{name: ..., remoteurl: ...}")]
    [InlineData("proxy: {upstreams: {ghcr.io: {remoteurl: https://ghcr.io}}}", "proxy.upstreams", "{name: ..., remoteurl: ...}")]
    [InlineData("proxy: {upstreams: {0: {remoteurl: https://ghcr.io}}}", "proxy.upstreams", "{name: ..., remoteurl: ...}")]
    [InlineData("proxy: {upstreams: [{ghcr.io: https://ghcr.io}]}", "proxy.upstreams.0", "{name: ..., remoteurl: ...}")]
    [InlineData("proxy: {upstreams: [{name: }]}", "proxy.upstreams.0", "{name: ..., remoteurl: ...}")]
    [InlineData("proxy: {upstreams: {}}", "proxy.upstreams.0", "{name: ..., remoteurl: ...}")]
    [InlineData("proxy:\n  upstreams:\n  -\n", "proxy.upstreams.0", "{name: ..., remoteurl: ...}")]
    [InlineData("proxy: {remoteurl: https://x, policies: [null]}", "proxy.policies.0", "{match: ..., deny: ...}")]
    [InlineData("proxy: {remoteurl: https://x, policies: {library/*: {deny: no}}}", "proxy.policies", "{match: ..., deny: ...}")]
    [InlineData("notifications: {endpoints: {audit: {url: http://x/}}}", "notifications.endpoints", "{name: ..., url: ...}")]
    [InlineData("access: {rules: [null]}", "access.rules.0", "{who: ...}")]
    [InlineData("access: {rules: {ann: {actions: [pull]}}}", "access.rules", "{who: ...}")]
    public void An_empty_entry_of_a_list_and_a_section_in_its_place_prevent_a_start_and_show_the_form(
        string yaml, string path, string form)
    {
        var errors = Load(VersionLine + yaml).Errors;
        Assert.Contains(errors, error => error.StartsWith($"{path}: ", StringComparison.Ordinal)
            && error.Contains($"with a dash before its keys: - {form}", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("notifications: {endpoints: }")]
    [InlineData("notifications: {endpoints: []}")]
    [InlineData("proxy: {remoteurl: https://x, upstreams: , policies: }")]
    [InlineData("proxy: {remoteurl: https://x, upstreams: []}")]
    [InlineData("proxy: {upstreams: {remoteurl: https://x}}")]
    [InlineData("log: {hooks: [{}]}")]
    public void A_list_without_entries_and_one_entry_without_the_list_are_allowed(string yaml) =>
        Assert.Empty(Load(VersionLine + yaml).Errors);

    [Fact]
    public void An_empty_entry_of_the_authorities_of_clients_prevents_a_start() => Assert.StartsWith(
        "http.tls.clientcas.0: the entry is empty",
        Assert.Single(Load(VersionLine + "http: {tls: {certificate: c, key: k, clientcas: [null]}}").Errors));

    [Theory]
    [InlineData("'**'", "https://registry-1.docker.io", true)]
    [InlineData("'*/**'", "https://registry-1.docker.io", true)]
    [InlineData("'ghcr.io/**'", "https://registry-1.docker.io", true)]
    [InlineData("library/**", "https://registry-1.docker.io", false)]
    [InlineData("local/**", "https://registry-1.docker.io", false)]
    public void A_pattern_of_hosted_names_that_leaves_nothing_to_mirror_causes_a_warning(string pattern, string url, bool isWarned) =>
        Assert.Equal(isWarned, Load(
            VersionLine + $"proxy: {{remoteurl: '{url}', upstreams: [{{remoteurl: https://ghcr.io}}]}}\n"
                + $"hosted: {{repositories: [{pattern}]}}").Warnings.Any(
            warning => warning.Contains("so nothing of it is mirrored", StringComparison.Ordinal)));

    [Theory]
    [InlineData("author: me")]
    [InlineData("authors: [me]")]
    [InlineData("accesslog: {disabled: true}")]
    [InlineData("metrics: {addr: x, tls: {certificate: c}}")]
    [InlineData("backup: {s3: {bucket: b}}")]
    [InlineData("x-login: " + Htpasswd)]
    [InlineData("proxy: {remoteurl: https://x, colour: red}")]
    [InlineData("http: {addr: 'localhost:5000', port: 5000}")]
    [InlineData("addr: ':5001'\nhttp: {addr: 'localhost:5000'}")]
    [InlineData("http: {colour: red}")]
    [InlineData("storage: {filesystem: {rootdirectory: /x, colour: red}}")]
    [InlineData("storage: {inmemory: {rootdirectory: /x}}")]
    [InlineData("storage: {inmemory: {colour: red}}")]
    [InlineData("http: {tls: {letsencrypt: {cachefile: /c, hosts: [a.example]}, colour: red}}")]
    public void A_key_of_another_program_causes_a_warning_only(string yaml)
    {
        var loaded = Load(VersionLine + yaml);

        Assert.Empty(loaded.Errors);
        Assert.Contains(loaded.Warnings, warning => warning.Contains(" is not a known key and is ignored", StringComparison.Ordinal));
    }
}
