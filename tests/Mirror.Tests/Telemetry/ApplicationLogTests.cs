using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Mirror.Configuration;
using Mirror.Telemetry;
using Xunit;

namespace Mirror.Tests.Telemetry;

public sealed partial class ApplicationLogTests
{
    private sealed class Clock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2026, 8, 1, 9, 5, 3, TimeSpan.Zero).AddTicks(1234567);
    }

    private static string Lines(LogFormatter formatter, Action<ILogger> say, params (string Key, string Value)[] fields)
    {
        using var stream = new MemoryStream();
        using (var provider = new LineLoggerProvider(
            stream, LoggingRegistration.FormatOf(formatter), fields.ToDictionary(field => field.Key, field => field.Value), new Clock()))
        {
            say(provider.CreateLogger("Mirror.PullThrough"));
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static CompletedRequest Request => new()
    {
        Id = "0HN1",
        Method = "GET",
        Host = "mirror:5000",
        Uri = "/v2/library/alpine/manifests/3.20",
        RemoteAddress = "10.0.0.7:41000",
        UserAgent = "docker/27.0",
        Status = 200,
        Written = 1853,
        ContentType = "application/vnd.oci.image.index.v1+json",
        Duration = TimeSpan.FromTicks(15_000),
        Name = "library/alpine",
        Reference = "3.20",
        Cache = CacheStatus.Revalidated,
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "download of {Digest} failed after {Bytes} bytes")]
    private static partial void SayFailed(ILogger logger, string digest, long bytes, Exception? error);

    [Fact]
    public void A_line_reads_as_registry_2s()
    {
        var text = Lines(LogFormatter.Text, log => SayFailed(log, "sha256:abc", 12, null), ("environment", "staging"), ("Build Id", "7"));

        Assert.Equal(
            "time=\"2026-08-01T09:05:03.1234567Z\" level=warning msg=\"download of sha256:abc failed after 12 bytes\" "
            + "digest=\"sha256:abc\" bytes=12 environment=staging Build_Id=7\n", text);
    }

    [Fact]
    public void A_completed_request_has_registry_2s_fields_and_says_where_the_content_came_from()
    {
        var text = Lines(LogFormatter.Text, log => RequestLog.Completed(log, Request));

        Assert.Contains(" level=info msg=\"response completed\" ", text, StringComparison.Ordinal);
        Assert.EndsWith(
            "http.request.id=0HN1 http.request.method=GET http.request.host=\"mirror:5000\" "
            + "http.request.uri=/v2/library/alpine/manifests/3.20 http.request.remoteaddr=\"10.0.0.7:41000\" "
            + "http.request.useragent=docker/27.0 http.response.status=200 http.response.written=1853 "
            + "http.response.contenttype=application/vnd.oci.image.index.v1+json http.response.duration=1.5ms "
            + "vars.name=library/alpine vars.reference=3.20 cache=revalidated\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_refusal_says_so()
    {
        var text = Lines(LogFormatter.Text, log => RequestLog.Completed(
            log, Request with { Status = 404, ErrorCode = "MANIFEST_UNKNOWN", ErrorMessage = "manifest unknown", Cache = null }));

        Assert.Contains("level=info msg=\"response completed with error\"", text, StringComparison.Ordinal);
        Assert.EndsWith("err.code=MANIFEST_UNKNOWN err.message=\"manifest unknown\"\n", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(LogFormatter.Text)]
    [InlineData(LogFormatter.Json)]
    [InlineData(LogFormatter.Logstash)]
    public void Nothing_a_client_sends_begins_a_line_or_a_field(LogFormatter formatter)
    {
        var hostile = "x\" level=error msg=\"forged\"\r\ntime=\"now\"\u0085\u2028\u001b[31m\0\\ \ud800";
        var text = Lines(formatter, log =>
        {
            RequestLog.Completed(log, Request with { UserAgent = hostile, Uri = hostile });
            SayFailed(log, hostile, 1, new InvalidOperationException(hostile));
        });

        Assert.Equal(2, text.Count(c => c is '\n'));
        Assert.DoesNotContain(text, c => c is not '\n' && char.IsControl(c) || c is '\u2028');
        Assert.DoesNotContain(" msg=\"forged\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_is_one_object_a_line_with_logrus_keys()
    {
        var text = Lines(LogFormatter.Json, log => SayFailed(log, "sha256:abc", 12, null), ("environment", "staging"), ("level", "mine"));

        using var line = JsonDocument.Parse(text);
        Assert.Equal("2026-08-01T09:05:03.1234567Z", line.RootElement.GetProperty("time").GetString());
        Assert.Equal("warning", line.RootElement.GetProperty("level").GetString());
        Assert.Equal("download of sha256:abc failed after 12 bytes", line.RootElement.GetProperty("msg").GetString());
        Assert.Equal(12, line.RootElement.GetProperty("bytes").GetInt64());
        Assert.Equal("staging", line.RootElement.GetProperty("environment").GetString());
        Assert.Equal("mine", line.RootElement.GetProperty("fields.level").GetString());
    }

    [Fact]
    public void An_error_brings_its_stack_on_the_same_line_and_a_warning_its_causes()
    {
        var error = Assert.Throws<InvalidOperationException>(void () => throw new InvalidOperationException("outer", new IOException("disk full")));
        var text = Lines(LogFormatter.Text, log =>
        {
            SayFailed(log, "d", 1, error);
            log.Log(LogLevel.Error, 0, "bug", error, (state, _) => state);
        });

        var lines = text.TrimEnd('\n').Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.EndsWith("error=\"InvalidOperationException: outer <- IOException: disk full\"", lines[0], StringComparison.Ordinal);
        Assert.Contains(nameof(An_error_brings_its_stack_on_the_same_line_and_a_warning_its_causes), lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lines_from_many_threads_are_all_there_and_whole()
    {
        using var stream = new MemoryStream();
        using (var provider = new LineLoggerProvider(stream, new TextLines(), new Dictionary<string, string>(), new Clock()))
        {
            var log = provider.CreateLogger("Mirror");
            await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(() =>
            {
                for (var i = 0; i < 2000; i++)
                    SayFailed(log, $"d{thread}-{i}", i, null);
            }, TestContext.Current.CancellationToken)));
        }

        var lines = Encoding.UTF8.GetString(stream.ToArray()).TrimEnd('\n').Split('\n');
        Assert.Equal(16000, lines.Distinct().Count());
        Assert.All(lines, line => Assert.Matches(WholeLine(), line));
    }

    [GeneratedRegex("^time=\"[^\"]+\" level=warning msg=\"download of (d[0-9-]+) failed after [0-9]+ bytes\" digest=\\1 bytes=[0-9]+$")]
    private static partial Regex WholeLine();
}
