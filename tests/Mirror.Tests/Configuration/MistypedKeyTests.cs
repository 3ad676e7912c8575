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
    [InlineData("Storage: {filesystem: {rootdirectory: /x}}", "Storage")]
    [InlineData("store: {filesystem: {rootdirectory: /x}}", "store")]
    [InlineData("storage: {filesystem: {rootDirectory: /x}}", "storage.filesystem.rootDirectory")]
    [InlineData("storage: {filesystem: {path: /x}}", "storage.filesystem.path")]
    [InlineData("storage: {maintenance: {readOnly: {enabled: true}}}", "storage.maintenance.readOnly")]
    [InlineData("storage: {maintenance: {readonly: {enable: true}}}", "storage.maintenance.readonly.enable")]
    public void It_prevents_a_start_if_ignoring_it_would_not_be_safe(string yaml, string path) => Assert.StartsWith(
        $"{path} is not a known key, and ignoring it would not be safe", Load(VersionLine + yaml).Errors[0]);

    [Theory]
    [InlineData("author: me")]
    [InlineData("authors: [me]")]
    [InlineData("accesslog: {disabled: true}")]
    [InlineData("metrics: {addr: x, tls: {certificate: c}}")]
    [InlineData("backup: {s3: {bucket: b}}")]
    [InlineData("x-login: " + Htpasswd)]
    [InlineData("proxy: {remoteurl: https://x, colour: red}")]
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
