using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>No log, metric, trace, error or printed configuration shows a secret, and no message of a start that fails.</summary>
public sealed class SecretsTests : MirrorOfHub
{
    private const string Canary = "canary-3b8e";
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 100_000);

    // Every secret of the configuration, each with the same beginning and its own end.
    private static readonly string Everything = $$"""
              upstreams:
              - {name: ghcr.io, remoteurl: "http://127.0.0.1:{{Ports.Free()}}", username: eve, password: {{Canary}}-further}
            fleet:
              leave: 0s
            redis:
              addr: 127.0.0.1:{{Ports.Free()}}
              password: {{Canary}}-redis
            notifications:
              endpoints:
              - name: audit
                url: http://127.0.0.1:{{Ports.Free()}}/events
                headers: {Authorization: [Bearer {{Canary}}-endpoint]}
            """.ReplaceLineEndings("\n") + "\n";

    private readonly ConcurrentQueue<string> _traces = new();

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        hub.Account = ("ann", $"{Canary}-upstream");
        return new() { Upstream = hub.Url, Username = "ann", Password = $"{Canary}-upstream", More = Everything };
    }

    [Theory]
    [InlineData("text")]
    [InlineData("json")]
    public async Task No_log_metric_trace_or_error_shows_a_secret(string formatter)
    {
        var collector = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var collecting = await CollectAsync(collector);
        await using var mirror = await MirrorProcess.StartAsync(Settings(Hub) with
        {
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_LOG_FORMATTER"] = formatter,
                ["REGISTRY_HTTP_SECRET"] = $"{Canary}-fleet",
                ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.AbsoluteUri,
                ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
                ["OTEL_EXPORTER_OTLP_HEADERS"] = $"authorization={Canary}-collector",
                ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
            },
        });
        Hub.AddImage(Repository, "latest", Layer);
        using (await mirror.GetAsync(ManifestPath("latest")))
        using (await mirror.GetAsync(BlobPath(Layer.Digest)))
            Hub.RevokeTokens();
        var tokens = Hub.Log.Requests.Select(r => r.Authorization?.Split(' ')[1]).OfType<string>().Concat(Hub.Signatures.Keys).ToList();
        Assert.NotEmpty(tokens);
        // Upstream has another password now: the configured one is wrong.
        Hub.Account = ("ann", "another");
        var output = new StringBuilder();
        var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes($"bob:{Canary}-client"));
        foreach (var path in new[]
        {
            ManifestPath("other"), BlobPath(Digest.Of("x"u8)), $"{Repository}/tags/list", ManifestPath("latest"),
            "ghcr.io/a/b/manifests/latest", "%zz", "local/a/blobs/uploads/",
        })
            foreach (var authorization in new[] { $"Basic {basic}", $"Bearer {Canary}-token" })
                using (var response = await mirror.GetAsync(path, ("Authorization", authorization), ("Cookie", $"{Canary}-cookie")))
                    output.Append(response).Append(await response.Content.ReadAsStringAsync(Cancel));
        await Hub.Token.TakeDownAsync();
        using (var response = await mirror.GetAsync(ManifestPath("fourth")))
            output.Append(response).Append(await response.Content.ReadAsStringAsync(Cancel));
        output.Append(await mirror.MetricsAsync());
        await Until.TrueAsync(() => _traces.Any(sent => sent.Contains("fill", StringComparison.Ordinal)), () => "No trace is sent.");
        await mirror.StopAsync();
        output.AppendJoin('\n', mirror.Log).AppendJoin('\n', _traces);
        Assert.Contains("audit", output.ToString(), StringComparison.Ordinal);
        AssertSilent(output.ToString(), [.. tokens, basic]);
    }

    [Fact]
    public async Task No_printed_configuration_shows_a_secret()
    {
        foreach (var verb in new[] { "check-config", "clients" })
        {
            var (_, output) = await Mirror.RunAsync(verb);
            Assert.NotEqual("", output);
            AssertSilent(output, []);
        }
    }

    [Theory]
    [InlineData("port taken", "address already in use")]
    [InlineData("no such port", "http.addr")]
    [InlineData("certificate that is none", "pem")]
    [InlineData("certificate that is not there", "nowhere.pem")]
    [InlineData("authority that is not there", "nowhere.pem")]
    [InlineData("password in a URL", "remoteurl")]
    [InlineData("not YAML", "config.yml")]
    public async Task No_message_of_a_start_that_fails_shows_a_secret(string what, string about)
    {
        using var folder = new TempFolder();
        var nowhere = folder["nowhere.pem"];
        var rubbish = folder.Write("rubbish.pem", $"-----BEGIN CERTIFICATE-----\n{Canary}-certificate\n-----END CERTIFICATE-----\n");
        var settings = Settings(Hub) with
        {
            Environment = what switch
            {
                "port taken" => Set("HTTP_ADDR", Hub.Cdn.Authority),
                "no such port" => Set("HTTP_ADDR", "127.0.0.1:99999"),
                "certificate that is none" => Set("HTTP_TLS_CERTIFICATE", rubbish, "HTTP_TLS_KEY", rubbish),
                "certificate that is not there" => Set("HTTP_TLS_CERTIFICATE", nowhere, "HTTP_TLS_KEY", nowhere),
                "authority that is not there" => Set("PROXY_TLS_CA", nowhere),
                "password in a URL" => Set("PROXY_REMOTEURL", $"https://ann:{Canary}-url@registry.example"),
                _ => [],
            },
            More = what == "not YAML" ? $"{Everything}proxy: [{Canary}-yaml" : Everything,
        };
        var failed = await Assert.ThrowsAsync<PeerFailedException>(() => MirrorProcess.StartAsync(settings));
        Assert.Contains(about, failed.Message, StringComparison.OrdinalIgnoreCase);
        AssertSilent(failed.Message, []);
    }

    [Fact]
    public async Task No_log_or_error_shows_the_keys_of_a_bucket()
    {
        var output = new StringBuilder();
        try
        {
            await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
            {
                Upstream = Hub.Url,
                Driver = $"  s3:\n    region: us-east-1\n    regionendpoint: http://127.0.0.1:{Ports.Free()}\n    bucket: b\n"
                    + $"    accesskey: {Canary}-access\n    secretkey: {Canary}-secret\n",
            });
            foreach (var path in new[] { ManifestPath("latest"), BlobPath(Layer.Digest) })
                using (var response = await mirror.GetAsync(path))
                    output.Append(response).Append(await response.Content.ReadAsStringAsync(Cancel));
            output.Append((await mirror.RunAsync("check-config")).Output).Append(await mirror.MetricsAsync()).AppendJoin('\n', mirror.Log);
        }
        catch (PeerFailedException failed)
        {
            output.Append(failed.Message);
        }
        Assert.NotEqual("", output.ToString());
        // The access key is not a secret: AWS puts it into signed URLs.
        AssertSilent(output.ToString().Replace($"{Canary}-access", "", StringComparison.Ordinal), []);
    }

    private static void AssertSilent(string output, IReadOnlyList<string> others)
    {
        var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes($"ann:{Canary}-upstream"));
        foreach (var secret in others.Append(Canary).Append(basic).Distinct())
            if (output.IndexOf(secret, StringComparison.Ordinal) is >= 0 and var at)
                Assert.Fail($"{secret} is shown: {output[Math.Max(0, at - 200)..Math.Min(output.Length, at + 100)]}");
    }

    private static Dictionary<string, string> Set(params string[] names)
    {
        Dictionary<string, string> variables = [];
        for (var i = 0; i < names.Length; i += 2)
            variables[$"REGISTRY_{names[i]}"] = names[i + 1];
        return variables;
    }

    // A collector of traces (OTLP over HTTP). It keeps the bodies as they come.
    private async Task<WebApplication> CollectAsync(Uri url)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls(url.AbsoluteUri);
        var app = builder.Build();
        app.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            _traces.Enqueue(Encoding.Latin1.GetString(body.GetBuffer(), 0, (int)body.Length));
        });
        await app.StartAsync(Cancel);
        return app;
    }
}
