using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>What the logs tell of requests, downloads and the end of the server.</summary>
public sealed partial class RequestLogTests : MirrorOfHub
{
    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

    [Fact]
    public async Task A_line_has_the_clients_own_ids_and_the_time_as_a_number()
    {
        using var response = await Mirror.GetAsync(
            "", ("X-Request-Id", "a" + new string('b', 500)), ("traceparent", $"00-{TraceId}-00f067aa0ba902b7-01"));

        var line = await LineAsync(Mirror, "trace.id=");
        Assert.Contains($" trace.id={TraceId}", line, StringComparison.Ordinal);
        // Bounded: a client does not fill the log.
        Assert.Contains($" http.request.xrequestid=a{new string('b', 127)} ", line, StringComparison.Ordinal);
        var times = Times().Match(line);
        Assert.True(times.Success, line);
        Assert.InRange(double.Parse(times.Groups["seconds"].Value, CultureInfo.InvariantCulture), 1e-6, 60);
    }

    [Theory]
    [InlineData("json", "msg")]
    [InlineData("logstash", "message")]
    public async Task With_a_formatter_for_machines_every_line_of_both_logs_is_JSON(string formatter, string message)
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_LOG_FORMATTER"] = formatter },
            More = "notifications: {}\n",
        });
        using var response = await mirror.GetAsync("local/app/manifests/nope", ("User-Agent", "a\"b\t"), ("X-Request-Id", "me"));
        await mirror.StopAsync();

        List<JsonElement> lines = [.. mirror.Log.Select(line => JsonDocument.Parse(line).RootElement)];
        var access = Assert.Single(lines, line => line.GetProperty(message).GetString() == "access"
            && line.GetProperty("http.request.uri").GetString() == "/v2/local/app/manifests/nope");
        Assert.Equal("GET", access.GetProperty("http.request.method").GetString());
        Assert.Equal(404, access.GetProperty("http.response.status").GetInt32());
        Assert.Equal("me", access.GetProperty("http.request.xrequestid").GetString());
        Assert.True(access.GetProperty("http.response.seconds").GetDouble() > 0);
        Assert.Single(lines, line => line.GetProperty(message).GetString() == "response completed with error"
            && line.GetProperty("http.request.id").GetString() == access.GetProperty("http.request.id").GetString());
    }

    [Fact]
    public async Task A_login_that_failed_names_the_user()
    {
        using var folder = new TempFolder();
        folder.Write("htpasswd", "alice:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { More = $"auth: {{htpasswd: {{realm: r, path: {folder.Path}/htpasswd}}}}\n" });
        foreach (var login in new[] { "alice:wrong", $"eve\n{new string('e', 500)}:wrong" })
            using (var response = await mirror.GetAsync(
                "", ("Authorization", $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(login))}")))
                Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);

        var refused = await LineAsync(mirror, "auth.user.refused=alice ");
        Assert.Contains("level=warning", refused, StringComparison.Ordinal);
        Assert.Contains("advice=\"if this user should have access", refused, StringComparison.Ordinal);
        await LineAsync(mirror, $"auth.user.refused=\"eve\\n{new string('e', 124)}\" ");
        Assert.DoesNotContain(mirror.Log, line => line.Contains("wrong", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_download_has_a_line_at_its_start_and_one_at_its_end()
    {
        var (blob, gate) = (Hub.AddBlob(Repository, HubBlob.Seeded(1, 50_000)), new Gate());
        Hub.Fault(blob.Digest, BlobFault.StalledAt(10_000, gate));
        using (var first = await Mirror.GetAsync(BlobPath(blob.Digest)))
        using (var second = await Mirror.GetAsync(BlobPath(blob.Digest)))
        {
            await LineAsync(Mirror, $"msg=\"download of {blob.Digest} from {Hub.Registry.Authority} started, for {Repository}\"");
            Assert.DoesNotContain(Mirror.Log, line => line.Contains(" ended: ", StringComparison.Ordinal));
            gate.Open();
            Assert.Equal(blob.Digest, await DigestOfAsync(first));
            Assert.Equal(blob.Digest, await DigestOfAsync(second));
        }

        var end = Ended().Match(await LineAsync(Mirror, $"download of {blob.Digest} from {Hub.Registry.Authority} ended: "));
        Assert.True(end.Success);
        Assert.Equal(("50000", "2"), (end.Groups["bytes"].Value, end.Groups["clients"].Value));
        Assert.True(long.Parse(end.Groups["rate"].Value, CultureInfo.InvariantCulture) > 0);
    }

    [Fact]
    public async Task A_download_that_fails_has_a_line_that_says_why_and_what_to_do()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(1, 1000));
        Hub.Fault(blob.Digest, BlobFault.WrongByteAt(1), times: 3);
        (await Mirror.GetAsync(BlobPath(blob.Digest))).Dispose();

        var line = await LineAsync(Mirror, $"download of {blob.Digest} from {Hub.Registry.Authority} failed after 1000 bytes");
        Assert.Contains("level=warning", line, StringComparison.Ordinal);
        Assert.Contains("do not have the digest", line, StringComparison.Ordinal);
        Assert.Contains(" advice=\"", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_end_of_the_server_is_told()
    {
        await Mirror.StopAsync();
        await Mirror.UntilLoggedOnceAsync(line => line.Contains("level=info msg=\"stopping: ", StringComparison.Ordinal));
        await Mirror.UntilLoggedOnceAsync(line => line.EndsWith(" level=info msg=stopped", StringComparison.Ordinal));
    }

    private static async Task<string> LineAsync(MirrorProcess mirror, string part)
    {
        string? line = null;
        await Until.TrueAsync(
            () => (line = mirror.Log.FirstOrDefault(l => l.Contains(part, StringComparison.Ordinal))) is not null,
            () => $"No line with {part}:\n{string.Join('\n', mirror.Log)}");
        return line!;
    }

    [GeneratedRegex(@" http\.response\.duration=\S+ http\.response\.seconds=(?<seconds>[0-9.]+) ")]
    private static partial Regex Times();

    [GeneratedRegex(@" bytes=(?<bytes>\d+) seconds=[0-9.]+ rate=(?<rate>\d+) clients=(?<clients>\d+)$")]
    private static partial Regex Ended();
}
