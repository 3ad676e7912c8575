using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Mirror.Hosting;
using Mirror.Tests.Admin;
using Mirror.Tests.Configuration;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
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
        var more = "proxy: {upstreams: [{remoteurl: \"https://a.example\"}, "
            + "{name: b, remoteurl: \"https://c.example:1\", username: u, password: p}]}\n";
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { More = more });
        Assert.Matches("msg=\"?configuration: \\S+/config.yml", mirror.Log[0]);
        await mirror.UntilLoggedAsync(line => line.Contains(
            "upstream: a.example (https://a.example/), b (https://c.example:1/);", StringComparison.Ordinal));
        await mirror.UntilLoggedAsync(line => line.Contains("level=warning", StringComparison.Ordinal)
            && line.Contains("the account at b is used for every client", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_debug_address_may_have_the_port_of_the_registry_at_another_address()
    {
        MirrorProcess.Availability.OrSkip();
        if (!OperatingSystem.IsLinux())
            Assert.Skip("only Linux has 127.0.0.2");
        using var folder = new TempFolder();
        var port = Ports.Free();
        var (root, registry, debug) = (folder.Folder("root"), $"127.0.0.1:{port}", $"127.0.0.2:{port}");
        await using var process = PeerProcess.Start("dotnet", [MirrorProcess.Program, "serve", folder.Write("config.yml", $"""
            version: 0.1
            storage:
              filesystem:
                rootdirectory: {root}
            http:
              addr: {registry}
              debug:
                addr: {debug}
            """)]);
        await process.UntilAsync(
            () => Task.FromResult(process.Lines.Any(line => line.Contains("listening on", StringComparison.Ordinal))));
        var file = Path.Combine(root, "mirror", "admin-token");
        var token = (await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)).Trim();

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(registry, "v2/"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(registry, "debug/live"));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(registry, "mirror/v1/usage"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(debug, "debug/live"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(debug, "v2/"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(debug, "mirror/v1/usage"));

        async Task<HttpStatusCode> StatusAsync(string authority, string path)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{authority}/{path}");
            request.Headers.Authorization = new("Bearer", token);
            using var response = await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task A_hang_up_does_not_end_the_server()
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        for (var i = 1; i <= 2; i++)
        {
            mirror.HangUp();
            await Until.TrueAsync(
                () => mirror.Log.Count(line => line.Contains("was read again", StringComparison.Ordinal)) == i,
                () => string.Join('\n', mirror.Log));
        }
        using var response = await mirror.GetAsync("");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task A_hang_up_at_the_start_is_remembered_until_the_settings_can_be_read_again()
    {
        MirrorProcess.Availability.OrSkip();
        using var folder = new TempFolder();
        var config = folder.Write(
            "config.yml",
            $"version: 0.1\nhttp: {{addr: \"127.0.0.1:{Ports.Free()}\"}}\nstorage: {{filesystem: {{rootdirectory: {folder["root"]}}}}}\n");
        await using var process = PeerProcess.Start("dotnet", [MirrorProcess.Program, config]);
        // As early as the process catches the signal. Before, the system ends it: that is the time of the runtime.
        while (!Catches(process.Id))
            await Task.Yield();
        process.Signal("HUP");
        foreach (var said in new[] { "was read again", "listening on" })
            await process.UntilAsync(() => Task.FromResult(process.Lines.Any(line => line.Contains(said, StringComparison.Ordinal))));

        static bool Catches(int process) => (Convert.ToUInt64(
            File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("SigCgt:", StringComparison.Ordinal))[7..].Trim(),
            16) & 1) != 0;
    }

    [Theory]
    [InlineData("http: {addr: \"127.0.0.1:TAKEN\"}",
        "listen on http.addr 127.0.0.1:TAKEN: Failed to bind to address http://127.0.0.1:TAKEN: address already in use")]
    [InlineData("http: {addr: \"127.0.0.1:FREE\", debug: {addr: \"127.0.0.1:TAKEN\"}}",
        "listen on http.debug.addr 127.0.0.1:TAKEN: Failed to bind to address http://127.0.0.1:TAKEN: address already in use")]
    [InlineData("http: {addr: \"192.0.2.1:FREE\"}", "cannot listen on http.addr 192.0.2.1:FREE: ")]
    [InlineData("http: {addr: \"no.such.host.invalid:FREE\"}", "cannot listen on no.such.host.invalid, which names no address")]
    [InlineData("http: {addr: \"127.0.0.1:FREE\"}\nstorage: {filesystem: {rootdirectory: /proc/none}}",
        "/proc/none is not there and cannot be made")]
    public async Task A_start_that_fails_says_why_in_one_line_and_ends_with_1(string yaml, string why)
    {
        MirrorProcess.Availability.OrSkip();
        using var folder = new TempFolder();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var (port, free) = (((IPEndPoint)taken.LocalEndpoint).Port, Ports.Free());
        string Numbered(string text) => text.Replace("TAKEN", $"{port}", StringComparison.Ordinal)
            .Replace("FREE", $"{free}", StringComparison.Ordinal);
        if (!yaml.Contains("storage", StringComparison.Ordinal))
            yaml += $"\nstorage: {{filesystem: {{rootdirectory: {folder["root"]}}}}}";
        await using var process = PeerProcess.Start("dotnet",
            [MirrorProcess.Program, folder.Write("config.yml", $"version: 0.1\n{Numbered(yaml)}\n")]);

        Assert.Equal(1, await process.ExitCodeAsync());
        var error = Assert.Single(process.Lines, line => !line.StartsWith("time=", StringComparison.Ordinal));
        Assert.StartsWith("error: cannot start: ", error, StringComparison.Ordinal);
        Assert.Contains(Numbered(why), error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("storage: {filesystem: {rootdirectory: /proc/none}}", "fatal", "/proc/none is not there and cannot be made")]
    [InlineData("storage: {filesystem: {rootdirectory: /dev/null}}", "fatal", "storage.filesystem.rootdirectory: /dev/null")]
    [InlineData("proxy: {tags_cache_ttl: soon}", "fatal", "proxy.tags_cache_ttl: \"soon\" is not allowed")]
    [InlineData("proxy: {tags_cache_ttl: soon}\nmirrors: 1", "warning", "mirrors")]
    public async Task A_start_that_fails_says_so_in_json_if_the_log_is_json(string yaml, string level, string why)
    {
        MirrorProcess.Availability.OrSkip();
        using var folder = new TempFolder();
        var config = "version: 0.1\nlog: {formatter: json, fields: {site: north}}\nhttp: {addr: \"127.0.0.1:0\"}\n";
        await using var process = PeerProcess.Start("dotnet", [MirrorProcess.Program, folder.Write("config.yml", $"{config}{yaml}\n")]);

        Assert.Equal(1, await process.ExitCodeAsync());
        var lines = process.Lines.Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Contains(lines, line => (string?)line["level"] == level && (string?)line["site"] == "north"
            && ((string?)line["msg"])!.Contains(why, StringComparison.Ordinal));
        Assert.Equal("fatal", (string?)lines[^1]["level"]);
    }

    [Fact]
    public async Task Background_work_that_fails_ends_the_server_with_an_exception()
    {
        using var work = new FailingWork();
        await work.StartAsync(TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<InvalidOperationException>(() => work.ExecuteTask!);
        await using var services = new ServiceCollection().AddSingleton<IHostedService>(work).BuildServiceProvider();
        var failure = Assert.Throws<InvalidOperationException>(() => Server.ThrowIfWorkFailed(services));
        Assert.Contains("FailingWork failed: planted", failure.Message, StringComparison.Ordinal);
    }

    // A timer of .NET takes less than 50 days.
    [Fact]
    public async Task Times_of_many_days_are_taken()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage("library/nginx", "latest", HubBlob.Seeded(1, 1000));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            TagsCacheTtl = "0",
            More = "  stale_after: 60d\n  fail_fast: 60d\n",
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_HTTP_DRAINTIMEOUT"] = "60d",
                ["REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL"] = "60d",
                ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT"] = "{enabled: true, interval: 60d}",
            },
        });
        for (var i = 0; i < 2; i++)
            await mirror.PullAsync("library/nginx", "latest");
        await mirror.StopAsync();
        Assert.Equal(0, await mirror.EndedAsync());
    }

    [Theory]
    [InlineData("log: {audit: {path: /no/such/audit.log}}", "log.audit.path: the folder /no/such does not exist")]
    [InlineData("http: {net: unix, addr: /no/such/socket}", "http.addr: the folder /no/such does not exist")]
    [InlineData("log: {audit: {path: /tmp}}", "log.audit.path: /tmp is a folder, not a file")]
    [InlineData("http: {net: unix, addr: /tmp}", "http.addr: /tmp is a folder, not a file")]
    [InlineData("auth: {privileged_key: /tmp}", "auth.privileged_key: /tmp is a folder, not a file")]
    public async Task A_folder_that_is_missing_or_in_place_of_a_file_is_named_by_the_start_and_by_check_config(string yaml, string why)
    {
        MirrorProcess.Availability.OrSkip();
        using var folder = new TempFolder();
        var file = folder.Write("config.yml", $"version: 0.1\n{yaml}\nstorage: {{filesystem: {{rootdirectory: {folder["root"]}}}}}\n");
        foreach (var verb in new[] { "serve", "check-config" })
        {
            await using var process = PeerProcess.Start("dotnet", [MirrorProcess.Program, verb, file]);
            Assert.Equal((verb, 1), (verb, await process.ExitCodeAsync()));
            Assert.Contains(process.Lines, line => line.Contains(why));
            Assert.DoesNotContain(process.Lines, line => line.Contains("   at "));
        }
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
        verbs is null
            ? []
            : [$"all who reach :5000 may {verbs} without a password; set auth.htpasswd, auth.token or access.rules, or let http.addr "
                + "begin with localhost"],
        AccessSummary.Warnings(ConfigurationText.Load(ConfigurationText.VersionLine + yaml).Options));

    [Theory]
    [InlineData("{who: {anonymous: true}, repositories: [\"**\"], actions: [pull, push, delete]}", "",
        "by access.rules.0, all who reach :5000 may push and delete in ** without a password; name users, groups, claims or certificates "
        + "in its 'who', or let http.addr begin with localhost")]
    [InlineData("{who: {anonymous: true}, repositories: [\"a/**\"], actions: [push]}, {who: {claims: {c: [v]}}, repositories: [\"**\"], "
        + "actions: [push]}", "",
        "by access.rules.0, all who reach :5000 may push in a/** without a password; name users, groups, claims or certificates in its "
        + "'who', or let http.addr begin with localhost")]
    [InlineData("{who: {claims: {c: [v]}}, repositories: [\"**\"], actions: [push]}", "", null)]
    [InlineData("{who: {anonymous: true}, repositories: [\"**\"], actions: [push]}", "http: {addr: \"127.0.0.1:5000\"}\n", null)]
    [InlineData("{who: {anonymous: true}, repositories: [\"**\"], actions: [pull]}",
        "proxy: {remoteurl: \"https://x.example\", username: u, password: p}\n",
        "the account at x.example is used for every client: by access.rules.0, its private images are open to all who reach :5000; name "
        + "users, groups, claims or certificates in its 'who'")]
    [InlineData("{who: {anonymous: true}, repositories: [\"y/**\"], actions: [pull]}",
        "proxy: {upstreams: [{remoteurl: \"https://x.example\"}, {name: y, remoteurl: \"https://y.example\", username: u, password: p}]}\n",
        "the account at y is used for every client: by access.rules.0, its private images are open to all who reach :5000; name "
        + "users, groups, claims or certificates in its 'who'")]
    [InlineData("{who: {anonymous: true}, repositories: [\"library/**\"], actions: [pull]}",
        "proxy: {remoteurl: \"https://x.example\", username: u, password: p}\n", null)]
    public void A_rule_that_lets_in_every_client_is_warned_of_as_settings_without_rules_are(string rules, string more, string? warning) =>
        Assert.Equal(
            warning is null ? [] : [warning],
            AccessSummary.Warnings(ConfigurationText.Load(
                $"{ConfigurationText.VersionLine}{more}storage: {{delete: {{enabled: true}}}}\naccess: {{rules: [{rules}]}}\n").Options));

    [Theory]
    [InlineData("proxy: {remoteurl: \"https://x.example\", tls: {certificate: /c}}")]
    [InlineData("proxy: {upstreams: [{remoteurl: \"https://x.example\", tls: {certificate: /c, key: /k}}]}")]
    public void A_client_certificate_that_all_clients_use_is_warned_of_as_an_account_is(string yaml) => Assert.Contains(
        AccessSummary.Warnings(ConfigurationText.Load(ConfigurationText.VersionLine + yaml).Options),
        warning => warning.StartsWith(
            "the client certificate for x.example is used for every client: without auth, its private images are open to all",
            StringComparison.Ordinal));

    private sealed class FailingWork : BackgroundService
    {
        protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
            Task.FromException(new InvalidOperationException("planted"));
    }
}
