using Mirror.Hosting;
using Mirror.Tests.Configuration;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>The start of the server.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task The_working_folder_is_not_watched()
    {
        MirrorProcess.Availability.OrSkip();
        // The framework would watch every folder below it. With the store there, the start would take longer with everything stored.
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        Assert.DoesNotContain("anon_inode:inotify", mirror.Open);
        Assert.Contains(mirror.Open, static open => open?.StartsWith("socket:", StringComparison.Ordinal) == true);
    }

    [Fact]
    public async Task The_first_line_names_the_file_and_another_every_upstream()
    {
        MirrorProcess.Availability.OrSkip();
        var more = "proxy: {upstreams: [{remoteurl: \"https://a.example\"}, {name: b, remoteurl: \"https://c.example:1\", username: u, password: p}]}\n";
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { More = more });
        Assert.Matches("msg=\"?configuration: \\S+/config.yml", mirror.Log[0]);
        Assert.Contains(mirror.Log, line => line.Contains(
            "upstream: a.example (https://a.example/), b (https://c.example:1/);", StringComparison.Ordinal));
        Assert.Contains(mirror.Log, line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains("the account at b is used for every client", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http: {addr: \":5000\"}", "push")]
    [InlineData("storage: {delete: {enabled: true}}", "push and delete")]
    [InlineData("proxy: {remoteurl: https://x}\nhosted: {repositories: a/*}", "push")]
    [InlineData("proxy: {remoteurl: https://x}\nstorage: {delete: {enabled: true}}", null)]
    [InlineData("http: {addr: \"127.0.0.1:5000\"}", null)]
    [InlineData("storage: {maintenance: {readonly: {enabled: true}}}", null)]
    [InlineData("auth: {htpasswd: {realm: r, path: /etc/passwd}}", null)]
    [InlineData("http: {tls: {certificate: /c, key: /k, clientcas: [/a]}}", null)]
    [InlineData("http: {tls: {certificate: /c, key: /k, clientcas: [/a], clientauth: verify-client-cert-if-given}}", "push")]
    public void Pushes_and_deletes_that_are_open_to_other_machines_are_warned_of(string yaml, string? verbs) => Assert.Equal(
        verbs is null ? [] : [$"all who reach :5000 may {verbs} without a password; set auth.htpasswd, or let http.addr begin with localhost"],
        AccessSummary.Warnings(ConfigurationText.Load(ConfigurationText.VersionLine + yaml).Options));
}
