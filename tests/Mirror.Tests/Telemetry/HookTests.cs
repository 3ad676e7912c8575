using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Telemetry;
using Mirror.Telemetry.Hooks;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>Lines of the log that are mailed, and reported to Bugsnag; and servers for them that do not do their part.</summary>
public sealed class HookTests
{
    private const string Canary = "canary-77aa";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public HookTests() => MirrorProcess.Availability.OrSkip();

    [Fact]
    public async Task A_failure_is_mailed_and_requests_are_answered_as_ever()
    {
        await using var mail = new MailServer();
        await using var mirror = await MirrorProcess.StartAsync(WithMail(mail.Port, "error"));

        using (var failed = await mirror.GetAsync($"library/nginx/manifests/latest?X-Amz-Signature={Canary}", ("Cookie", Canary)))
            Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);

        await mail.UntilAsync(text => text.Contains("Subject: [error] 127.0.0.1: response completed with error", StringComparison.Ordinal));
        var sent = mail.Mails.First(text => text.Contains("response completed", StringComparison.Ordinal));
        Assert.Contains("From: mirror@example.org", sent);
        Assert.Contains("To: ops@example.org, second@example.org", sent);
        Assert.Contains("http.request.uri: /v2/library/nginx/manifests/latest", sent);
        Assert.Contains("err.code: UNAVAILABLE", sent);
        Assert.Contains("site: north", sent);
        Assert.DoesNotContain(mail.Mails, text => text.Contains(Canary, StringComparison.Ordinal));
        Assert.True(await mirror.MetricAsync("mirror_hook_lines_total", ("hook", "mail"), ("outcome", "sent")) > 0);
        // The levels of the hook, and not those of the log.
        Assert.DoesNotContain(mail.Mails, text => text.Contains("[info]", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_reason_why_a_start_fails_is_mailed()
    {
        await using var mail = new MailServer();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        using var folder = new TempFolder();
        var file = folder.Write("config.yml", $$"""
            version: 0.1
            storage:
              filesystem: {rootdirectory: "{{folder.Folder("root")}}"}
            http: {addr: "{{taken.LocalEndpoint}}"}
            {{Log(mail.Port, "panic")}}
            """);

        await using var server = PeerProcess.Start("dotnet", [MirrorProcess.Program, "serve", file]);

        Assert.Equal(1, await server.ExitCodeAsync());
        var sent = Assert.Single(mail.Mails);
        Assert.Contains("Subject: [fatal] 127.0.0.1: the server ends: ", sent);
        // A long line of the body goes on behind an equals sign.
        Assert.Contains("address already in use", sent.Replace("=\r\n", "", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_mail_server_that_says_nothing_holds_no_request_and_no_more_than_a_few_lines()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var mirror = await MirrorProcess.StartAsync(WithMail(((IPEndPoint)silent.LocalEndpoint).Port, "error"));
        // 1 is being sent, and the others wait.
        const int Lines = 1 + HookQueue.MaxWaiting + 50;

        for (var i = 0; i < Lines; i++)
            using (var failed = await mirror.GetAsync("library/nginx/manifests/latest"))
                Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);

        await Until.TrueAsync(
            async () => await mirror.MetricAsync("mirror_hook_lines_total", ("hook", "mail"), ("outcome", "left_out")) >= 50,
            () => "no line was left out");
        Assert.Equal(0, await mirror.MetricAsync("mirror_hook_lines_total", ("hook", "mail"), ("outcome", "sent")));
        await mirror.StopAsync();
    }

    [Fact]
    public async Task A_slow_mail_server_gets_its_mails_and_holds_no_request()
    {
        var isGoing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var mail = new MailServer(isGoing.Task);
        await using var mirror = await MirrorProcess.StartAsync(WithMail(mail.Port, "error"));

        // More than two minutes' mails, and each is answered before the first of them has gone.
        for (var i = 0; i < 2 * HookQueue.MaxInWindow + 10; i++)
            using (var failed = await mirror.GetAsync("library/nginx/manifests/latest"))
                Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        Assert.Empty(mail.Mails);
        isGoing.SetResult();

        await Until.TrueAsync(
            async () => await mirror.MetricAsync("mirror_hook_lines_total", ("hook", "mail"), ("outcome", "left_out")) > 0
                && mail.Mails.Count >= HookQueue.MaxInWindow,
            () => $"{mail.Mails.Count} mails");
    }

    [Fact]
    public async Task A_mail_server_that_is_away_is_told_in_the_log_once()
    {
        await using var mirror = await MirrorProcess.StartAsync(WithMail(Ports.Free(), "error"));

        for (var i = 0; i < 5; i++)
            using (await mirror.GetAsync("library/nginx/manifests/latest"))
            {
            }

        await Until.TrueAsync(
            async () => await mirror.MetricAsync("mirror_hook_lines_total", ("hook", "mail"), ("outcome", "failed")) >= 5,
            () => string.Join('\n', mirror.Log));
        await mirror.UntilLoggedOnceAsync(line => line.Contains("could not be sent by mail", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Bugsnag_gets_errors_without_secrets()
    {
        var reports = new ConcurrentQueue<(string? Key, JsonElement Body)>();
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}/");
        await using var bugsnag = await OwnServer.StartAsync(url, async http =>
        {
            using var body = await JsonDocument.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted);
            reports.Enqueue((http.Request.Headers["Bugsnag-Api-Key"], body.RootElement.Clone()));
            http.Response.StatusCode = 202;
        });
        await using var mirror = await MirrorProcess.StartAsync(AwayUpstream() with
        {
            More = $"reporting: {{bugsnag: {{apikey: {new string('a', 32)}, releasestage: lab, endpoint: \"{url}\"}}}}\n",
        });

        using (await mirror.GetAsync($"library/nginx/manifests/latest?sig={Canary}", ("Authorization", $"Basic {Canary}")))
        {
        }

        await Until.TrueAsync(() => !reports.IsEmpty, () => string.Join('\n', mirror.Log));
        var (key, report) = reports.First();
        Assert.Equal(new string('a', 32), key);
        var one = report.GetProperty("events")[0];
        Assert.Equal("lab", one.GetProperty("app").GetProperty("releaseStage").GetString());
        Assert.Equal("error", one.GetProperty("severity").GetString());
        Assert.NotEmpty(one.GetProperty("exceptions")[0].GetProperty("message").GetString()!);
        Assert.DoesNotContain(reports, each => each.Body.ToString().Contains(Canary, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_key_of_new_relic_sends_figures_there()
    {
        // What the server asks of a proxy on its way.
        using var proxy = new TcpListener(IPAddress.Loopback, 0);
        proxy.Start();
        var port = ((IPEndPoint)proxy.LocalEndpoint).Port;
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = "reporting: {newrelic: {licensekey: eu01xx, name: shop, verbose: true}}\n",
            Environment = new Dictionary<string, string>
            {
                ["HTTPS_PROXY"] = $"http://127.0.0.1:{port}",
                ["OTEL_METRIC_EXPORT_INTERVAL"] = "200",
            },
        });

        using var client = await proxy.AcceptTcpClientAsync(Cancel);
        using var reader = new StreamReader(client.GetStream());
        Assert.Equal("CONNECT otlp.eu01.nr-data.net:443 HTTP/1.1", await reader.ReadLineAsync(Cancel));
        // What is sent at the end need not wait for an answer.
        proxy.Stop();
        client.Close();
        await mirror.UntilLoggedAsync(
            line => line.Contains("New Relic: https://otlp.eu01.nr-data.net/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_of_docker_registry_mails_failures()
    {
        await using var mail = new MailServer();
        using var folder = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            File = $$"""
                dev:
                  storage: local
                  storage_path: {{folder.Folder("d")}}
                  mirroring: {source: "http://127.0.0.1:{{Ports.Free()}}"}
                  email_exceptions: {smtp_host: 127.0.0.1, smtp_port: {{mail.Port}}, smtp_login: {{MailServer.User}},
                    smtp_password: {{MailServer.Password}}, smtp_secure: true, from_addr: r@example.org, to_addr: ops@example.org}
                """,
        });

        using (await mirror.GetAsync("library/nginx/manifests/latest"))
        {
        }

        await mail.UntilAsync(text => text.Contains("To: ops@example.org", StringComparison.Ordinal));
    }

    [Fact]
    public async Task At_most_ten_lines_go_in_a_minute_and_one_says_how_many_more_there_were()
    {
        var time = new FakeTimeProvider();
        await using var services = new ServiceCollection().AddMirrorMetrics().BuildServiceProvider();
        var target = new Target();
        await using var queue = new HookQueue(target, services.GetRequiredService<HookMetrics>(), time, () => NullLogger.Instance);

        for (var i = 0; i < 15; i++)
            queue.Add(new HookLine(time.GetUtcNow(), LogLevel.Error, $"line {i}", []));
        await Until.TrueAsync(() => target.Lines.Count >= HookQueue.MaxInWindow, () => $"{target.Lines.Count} lines");
        // What ends the process is not left out.
        queue.Add(new HookLine(time.GetUtcNow(), LogLevel.Critical, "the end", []));
        await Until.TrueAsync(() => target.Lines.Contains("the end"), () => string.Join('\n', target.Lines));
        Assert.Equal(HookQueue.MaxInWindow + 1, target.Lines.Count);

        await Until.TrueAsync(() =>
        {
            time.Advance(HookQueue.Window);
            return target.Lines.Any(line => line.StartsWith("5 more lines were left out", StringComparison.Ordinal));
        }, () => string.Join('\n', target.Lines));
        Assert.Equal(HookQueue.MaxInWindow + 2, target.Lines.Count);
    }

    [Theory]
    [InlineData("from https://user:pw@cdn.example/a?X-Amz-Signature=1&b=2 failed", "from https://cdn.example/a?... failed")]
    [InlineData("/v2/a/blobs/uploads/1?_state=abc", "/v2/a/blobs/uploads/1?...")]
    [InlineData("what? a=b", "what? a=b")]
    public void A_line_has_no_query_and_no_user_of_a_url(string text, string expected) =>
        Assert.Equal(expected, HookLine.Harmless(text));

    private static string Log(int port, string level) => $$"""
        log:
          fields: {site: north}
          hooks:
          - type: mail
            levels: [{{level}}]
            options:
              smtp: {addr: "127.0.0.1:{{port}}", username: {{MailServer.User}}, password: {{MailServer.Password}}}
              from: mirror@example.org
              to: [ops@example.org, second@example.org]
        """;

    private static MirrorSettings AwayUpstream() => new() { Upstream = new Uri($"http://127.0.0.1:{Ports.Free()}") };

    // The settings of a test have a section log of their own.
    private static MirrorSettings WithMail(int port, string level)
    {
        var prefix = "REGISTRY_LOG_HOOKS_0";
        return AwayUpstream() with
        {
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_LOG_FIELDS_SITE"] = "north",
                [$"{prefix}_TYPE"] = "mail",
                [$"{prefix}_LEVELS_0"] = level,
                [$"{prefix}_OPTIONS_SMTP_ADDR"] = $"127.0.0.1:{port}",
                [$"{prefix}_OPTIONS_SMTP_USERNAME"] = MailServer.User,
                [$"{prefix}_OPTIONS_SMTP_PASSWORD"] = MailServer.Password,
                [$"{prefix}_OPTIONS_FROM"] = "mirror@example.org",
                [$"{prefix}_OPTIONS_TO_0"] = "ops@example.org",
                [$"{prefix}_OPTIONS_TO_1"] = "second@example.org",
            },
        };
    }

    private sealed class Target : IHookTarget
    {
        private readonly ConcurrentQueue<string> _lines = new();

        public string Name => "mail";

        public IReadOnlyCollection<string> Lines => [.. _lines];

        public Task SendAsync(HookLine line, CancellationToken cancellationToken)
        {
            _lines.Enqueue(line.Message);
            return Task.CompletedTask;
        }

        public void Dispose()
        {
        }
    }
}
