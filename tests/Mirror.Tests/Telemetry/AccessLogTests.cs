using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mirror.Configuration;
using Mirror.Telemetry;
using Xunit;

namespace Mirror.Tests.Telemetry;

public sealed class AccessLogTests : IDisposable
{
    private readonly ServiceProvider _services =
        new ServiceCollection().AddLogging().AddMirrorMetrics().BuildServiceProvider();

    private static CompletedRequest Entry => new()
    {
        Level = LogLevel.Information,
        Id = "",
        Duration = TimeSpan.Zero,
        RemoteAddress = "10.0.0.7",
        Time = new DateTimeOffset(2026, 8, 1, 11, 5, 3, TimeSpan.FromHours(2)),
        Method = "GET",
        Uri = "/v2/library/alpine/manifests/3.20?ns=docker.io",
        Protocol = "HTTP/1.1",
        Status = 200,
        Written = 1853,
        UserAgent = "docker/27.0 (linux)",
    };

    public void Dispose() => _services.Dispose();

    private string Lines(Stream stream, params CompletedRequest[] entries)
    {
        using (var log = New(stream))
            foreach (var entry in entries)
                log.Write(entry);
        return stream is MemoryStream memory ? Encoding.UTF8.GetString(memory.ToArray()) : "";
    }

    private AccessLog New(Stream stream, ILogger? application = null, LogFormatter formatter = LogFormatter.Text) => new(
        stream, new LogOptions { Formatter = formatter }, _services.GetRequiredService<RequestMetrics>(),
        application ?? _services.GetRequiredService<ILogger<AccessLog>>());

    [Fact]
    public void A_line_is_Apaches_combined_format()
    {
        using var stream = new MemoryStream();
        Assert.Equal(
            "10.0.0.7 - - [01/Aug/2026:09:05:03 +0000] \"GET /v2/library/alpine/manifests/3.20?ns=docker.io HTTP/1.1\" 200 1853 "
            + "\"-\" \"docker/27.0 (linux)\"\n", Lines(stream, Entry));
    }

    [Fact]
    public void Nothing_a_client_sends_leaves_its_field()
    {
        using var stream = new MemoryStream();
        var text = Lines(stream, Entry with
        {
            User = "eve [01/Jan/1970]",
            Uri = "/v2/\" 200 0\n10.0.0.1",
            UserAgent = "a\"b\\c\r\td\u001b\u00e9\u2028",
        });

        Assert.Equal(
            "10.0.0.7 - eve\\x20[01/Jan/1970] [01/Aug/2026:09:05:03 +0000] \"GET /v2/\\\" 200 0\\n10.0.0.1 HTTP/1.1\" 200 1853 "
            + "\"-\" \"a\\\"b\\\\c\\r\\td\\x1b\\xc3\\xa9\\xe2\\x80\\xa8\"\n", text);
    }

    [Fact]
    public void A_reader_that_stands_still_stalls_no_request_and_the_application_log_counts_what_it_missed()
    {
        var application = new ListLogger();
        using var stream = new StandingStill();
        const int Written = 50_000;
        using (var log = New(stream, application))
        {
            log.Write(Entry);
            stream.Entered.Wait(TestContext.Current.CancellationToken);
            for (var i = 1; i < Written; i++)
                log.Write(Entry);
            stream.Release.Set();
        }

        var dropped = Written - stream.Lines;
        Assert.InRange(dropped, 1, Written - 1);
        Assert.Equal([$"access log: {dropped} lines dropped, because the reader of stdout does not keep up"], application.Lines);
    }

    [Fact]
    public void A_reader_that_went_away_fails_no_request()
    {
        using var stream = new GoneAway();
        Lines(stream, Entry, Entry);
    }

    private sealed class ListLogger : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add(formatter(state, exception));
    }

    private sealed class StandingStill : MemoryStream
    {
        public ManualResetEventSlim Entered { get; } = new();
        public ManualResetEventSlim Release { get; } = new();
        public int Lines { get; private set; }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Entered.Set();
            Release.Wait();
            Lines += buffer.Count((byte)'\n');
        }

        protected override void Dispose(bool disposing)
        {
            Entered.Dispose();
            Release.Dispose();
            base.Dispose(disposing);
        }
    }

    private sealed class GoneAway : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("Broken pipe");
    }
}
