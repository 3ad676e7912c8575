using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Mirror.Configuration;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Telemetry;

public sealed partial class ApplicationLogTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private sealed class Clock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2026, 8, 1, 9, 5, 3, TimeSpan.Zero).AddTicks(1234567);
    }

    private static string Lines(LogFormatter formatter, Action<ILogger> write, params (string Key, string Value)[] fields)
    {
        var options = new LogOptions { Formatter = formatter, Fields = fields.ToDictionary(field => field.Key, field => field.Value) };
        var logger = new Logger(TelemetryRegistration.NewFormatter(options, new Clock()));
        write(logger);
        return logger.Text;
    }

    /// <summary>As the framework's console logger, without the console.</summary>
    private sealed class Logger(ConsoleFormatter formatter) : ILogger
    {
        public string Text { get; private set; } = "";

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> format)
        {
            using var line = new StringWriter();
            formatter.Write(new LogEntry<TState>(logLevel, "Mirror.PullThrough", eventId, state, exception, format), null, line);
            Text += line;
        }
    }

    private static CompletedRequest Request => new()
    {
        Level = LogLevel.Information,
        Id = "0HN1",
        Method = "GET",
        Host = "mirror:5000",
        Uri = "/v2/library/alpine/manifests/3.20",
        Protocol = "HTTP/1.1",
        Time = DateTimeOffset.UnixEpoch,
        RemoteAddress = "10.0.0.7",
        RemotePort = 41000,
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
            + "http.response.contenttype=application/vnd.oci.image.index.v1+json http.response.duration=1.5ms http.response.seconds=0.0015 "
            + "vars.name=library/alpine vars.reference=3.20 cache=revalidated\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_code_that_wrote_a_line_is_named_where_that_is_asked_for()
    {
        var options = new LogOptions { ReportCaller = true };
        var logger = new Logger(TelemetryRegistration.NewFormatter(options, new Clock()));

        SayFailed(logger, "sha256:abc", 12, null);

        Assert.EndsWith(" func=Mirror.PullThrough.SayFailed\n", logger.Text, StringComparison.Ordinal);
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
    public void A_field_of_the_settings_hides_no_field_of_a_line()
    {
        var text = Lines(
            LogFormatter.Text, log => SayFailed(log, "sha256:abc", 12, null), ("msg", "mine"), ("time", "never"), ("level", "high"));

        Assert.Contains(" fields.msg=mine", text, StringComparison.Ordinal);
        Assert.Contains(" fields.time=never", text, StringComparison.Ordinal);
        Assert.Contains(" fields.level=high", text, StringComparison.Ordinal);
        foreach (var key in new[] { "msg=", "time=", "level=" })
            Assert.Single(text.Split(' '), word => word.StartsWith(key, StringComparison.Ordinal));
    }

    // What docker-registry 2.8.2 makes of the same file. It reads the file with Go's yaml.v2, which takes more words for true and false
    // than YAML 1.2 does.
    [Theory]
    [InlineData("3", "3")]
    [InlineData("-0", "0")]
    [InlineData("+5", "5")]
    [InlineData("1_000", "1000")]
    [InlineData("0x10", "16")]
    [InlineData("010", "8")]
    [InlineData("0o17", "15")]
    [InlineData("0b11", "3")]
    [InlineData("18446744073709551615", "18446744073709551615")]
    [InlineData("99999999999999999999", "1E+20")]
    [InlineData("1.50", "1.5")]
    [InlineData("1.", "1")]
    [InlineData("1e3", "1000")]
    [InlineData("1.5e-9", "1.5E-09")]
    [InlineData("true", "true")]
    [InlineData("yes", "true")]
    [InlineData("on", "true")]
    [InlineData("n", "false")]
    [InlineData("'3'", "\"3\"")]
    [InlineData("\"true\"", "\"true\"")]
    [InlineData("!!str 5", "\"5\"")]
    [InlineData("|-\n      7", "\"7\"")]
    [InlineData("2024-01-02", "\"2024-01-02\"")]
    [InlineData("12:30", "\"12:30\"")]
    [InlineData(".inf2", "\".inf2\"")]
    [InlineData(".inf", "\".inf\"")]
    [InlineData("1.2.3", "\"1.2.3\"")]
    [InlineData("tRue", "\"tRue\"")]
    public void Fields_of_the_settings_keep_their_type_in_json_and_their_words_in_text(string yaml, string json)
    {
        using var folder = new TempFolder();
        var file = folder.Write("config.yml", $"version: 0.1\nlog:\n  fields:\n    site: {yaml}\n");
        var loaded = MirrorConfiguration.Load(file, new Dictionary<string, string>());
        Assert.Empty(loaded.Errors);
        var options = loaded.Options.Log;
        var text = new Logger(TelemetryRegistration.NewFormatter(options, new Clock()));
        SayFailed(text, "sha256:abc", 12, null);
        Assert.Contains($" site={options.Fields["site"]}", text.Text.Replace("\"", "", StringComparison.Ordinal), StringComparison.Ordinal);

        options.Formatter = LogFormatter.Json;
        var logger = new Logger(TelemetryRegistration.NewFormatter(options, new Clock()));
        SayFailed(logger, "sha256:abc", 12, null);

        Assert.Contains($",\"site\":{json}}}\n", logger.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_field_from_the_environment_keeps_its_type_too()
    {
        var options = MirrorConfiguration.Load(null, new Dictionary<string, string>
        {
            ["REGISTRY_LOG_FORMATTER"] = "json",
            ["REGISTRY_LOG_FIELDS_RACK"] = "7",
            ["REGISTRY_LOG_FIELDS_ROW"] = "'7'",
        }).Options.Log;
        var logger = new Logger(TelemetryRegistration.NewFormatter(options, new Clock()));
        SayFailed(logger, "sha256:abc", 12, null);

        Assert.Contains(",\"rack\":7,\"row\":\"7\"}", logger.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void An_error_brings_its_stack_on_the_same_line_and_a_warning_its_causes()
    {
        var error = Assert.Throws<InvalidOperationException>(
            void () => throw new InvalidOperationException("outer", new IOException("disk full")));
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
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(async () =>
        {
            for (var i = 0; i < 250; i++)
                (await mirror.GetAsync($"test/app/manifests/d{thread}-{i}")).Dispose();
        }, Cancel)));

        await Until.TrueAsync(() => Whole(mirror).Count == 2000, () => $"{Whole(mirror).Count} lines of 2000");
        static HashSet<string> Whole(MirrorProcess mirror) => [.. mirror.Log.Where(line => WholeLine().IsMatch(line))];
    }

    [Fact]
    public async Task A_reader_that_stands_still_stops_no_request_and_learns_what_it_missed()
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        // Its readers of both logs stand still: the pipes fill, and then the server's own memory for lines.
        mirror.StopReading();
        var agent = new string('a', 600);
        for (var i = 0; i < 6000; i++)
            using (var response = await mirror.GetAsync("", ("User-Agent", agent)).WaitAsync(TimeSpan.FromSeconds(60), Cancel))
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);

        mirror.GoOnReading();
        await Until.TrueAsync(
            async () =>
            {
                (await mirror.GetAsync("")).Dispose();
                return Dropped().IsMatch(string.Join('\n', mirror.Log)) && DroppedAccess().IsMatch(string.Join('\n', mirror.Log));
            },
            () => "Neither log tells what it dropped.");
    }

    [GeneratedRegex("""
        ^time="[^"]+"[ ]level=info[ ]msg="response[ ]completed[ ]with[ ]error"[ ].*
        [ ]vars.reference=d[0-9]-[0-9]+[ ]err.code=MANIFEST_UNKNOWN[ ]err.message="[^"]+"([ ]err.detail="[^"]+")?$
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex WholeLine();

    [GeneratedRegex("[0-9]+ message\\(s\\) dropped because of queue size limit")]
    private static partial Regex Dropped();

    [GeneratedRegex("access log: [0-9]+ lines dropped, because the reader of stdout does not keep up")]
    private static partial Regex DroppedAccess();
}
