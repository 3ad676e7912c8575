using System.Net;
using Mirror.Storage.Buckets.S3;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.S3;

/// <summary>A store that is away: after three failures in a row calls fail at once, until the store is back.</summary>
public sealed class BreakerTests : IAsyncDisposable
{
    private static readonly TimeSpan SmallLimit = TimeSpan.FromSeconds(5);

    private readonly HttpListener _store = new();
    private readonly Uri _url = new($"http://127.0.0.1:{Ports.Free()}/");
    private readonly CancellationTokenSource _end = new();
    private Task _serving = Task.CompletedTask;
    private volatile string _behaviour = "";
    private int _objects;
    private int _lists;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("refused")]
    [InlineData("hanging")]
    [InlineData("503")]
    [InlineData("expired")]
    public async Task No_call_waits_for_a_store_that_is_away(string how)
    {
        _behaviour = how;
        if (how != "refused")
            Serve();
        using var bucket = Open();
        // All at once, so that they wait no longer than one of them.
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => AssertAwayAsync(bucket)));
        var asked = _objects;
        for (var i = 0; i < 200; i++)
            await AssertAwayAsync(bucket);
        Assert.Equal(asked, _objects);

        _behaviour = "well";
        if (how == "refused")
            Serve();
        await Until.TrueAsync(async () =>
        {
            try
            {
                return await bucket.SizeAsync("x", Cancel) == 5;
            }
            catch (StoreUnavailableException)
            {
                return false;
            }
        }, () => "The store is back, but it is not used.");
    }

    [Fact]
    public async Task A_store_that_answers_missing_or_denied_is_not_away()
    {
        Serve();
        using var bucket = Open();
        for (var i = 0; i < 10; i++)
        {
            _behaviour = "missing";
            Assert.Null(await bucket.SizeAsync("x", Cancel));
            _behaviour = "denied";
            await AssertAwayAsync(bucket);
        }
        _behaviour = "well";
        Assert.Equal(5, await bucket.SizeAsync("x", Cancel));
    }

    [Fact]
    public async Task Misses_of_a_bucket_that_is_there_look_for_it_once_and_those_of_one_that_is_not_are_no_misses()
    {
        Serve();
        var time = new SetClock();
        using var bucket = Open(time);
        _behaviour = "missing";
        for (var i = 0; i < 20; i++)
            Assert.Null(await bucket.SizeAsync("x", Cancel));
        Assert.Equal(1, _lists);
        time.Passed += TimeSpan.FromMinutes(1);
        Assert.Null(await bucket.SizeAsync("x", Cancel));
        Assert.Equal(2, _lists);
        // Content that was just found shows that the bucket is there.
        time.Passed += TimeSpan.FromMinutes(1);
        _behaviour = "well";
        Assert.Equal(5, await bucket.SizeAsync("x", Cancel));
        _behaviour = "missing";
        Assert.Null(await bucket.SizeAsync("x", Cancel));
        Assert.Equal(2, _lists);

        _behaviour = "bucket";
        time.Passed += TimeSpan.FromMinutes(1);
        for (var i = 0; i < 5; i++)
        {
            var gone = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.SizeAsync("x", Cancel));
            Assert.Contains("there is no such bucket", gone.Message, StringComparison.Ordinal);
        }
        _behaviour = "missing";
        Assert.Null(await bucket.SizeAsync("x", Cancel));
    }

    [Fact]
    public async Task A_store_that_is_full_is_not_away_and_is_told_from_others()
    {
        Serve();
        using var bucket = Open();
        for (var i = 0; i < 4; i++)
            foreach (var words in new[] { "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded" })
            {
                _behaviour = words;
                var full = await Assert.ThrowsAsync<StoreUnavailableException>(
                    async () => await bucket.PutAsync("x", () => new MemoryStream([1]), 1, onlyIfAbsent: false, Cancel));
                Assert.True(full.IsNoSpace);
                Assert.Contains("make room, or raise the quota", full.Message, StringComparison.Ordinal);
            }
        _behaviour = "well";
        Assert.Equal(5, await bucket.SizeAsync("x", Cancel));
    }

    [Fact]
    public async Task Failures_with_a_success_between_them_do_not_count()
    {
        Serve();
        using var bucket = Open();
        for (var i = 0; i < 3; i++)
        {
            _behaviour = "503";
            await AssertAwayAsync(bucket);
            await AssertAwayAsync(bucket);
            _behaviour = "well";
            Assert.Equal(5, await bucket.SizeAsync("x", Cancel));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _store.Close();
        await _serving;
        _end.Dispose();
    }

    private static async Task AssertAwayAsync(S3Bucket bucket) =>
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.ReadTextAsync("x", Cancel));

    private S3Bucket Open(TimeProvider? time = null)
    {
        var options = new S3Options { RegionEndpoint = _url.OriginalString, AccessKey = "a", SecretKey = "b", Bucket = "mirror" };
        return new S3Bucket(options, time ?? TimeProvider.System) { SmallLimit = SmallLimit };
    }

    private void Serve()
    {
        _store.Prefixes.Add(_url.OriginalString);
        _store.Start();
        _serving = Task.Run(async () =>
        {
            while (!_end.IsCancellationRequested)
                try
                {
                    _ = AnswerAsync(await _store.GetContextAsync());
                }
                catch (Exception ended) when (ended is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }
        });
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        try
        {
            var response = context.Response;
            var list = context.Request.QueryString.Count > 0;
            if (list)
                Interlocked.Increment(ref _lists);
            else
                Interlocked.Increment(ref _objects);
            var (status, body) = _behaviour switch
            {
                "503" => (503, Error("SlowDown")),
                "expired" => (400, Error("ExpiredToken")),
                "denied" => (403, Error("AccessDenied")),
                "missing" when !list => (404, Error("NoSuchKey")),
                "bucket" => (404, Error("NoSuchBucket")),
                "XMinioStorageFull" => (507, Error(_behaviour)),
                "QuotaExceeded" or "XMinioAdminBucketQuotaExceeded" => (403, Error(_behaviour)),
                _ => (200, list ? "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>" : "12345"),
            };
            if (_behaviour == "hanging")
                await Task.Delay(Timeout.Infinite, _end.Token);
            response.StatusCode = status;
            response.ContentLength64 = body.Length;
            if (context.Request.HttpMethod != "HEAD")
                await response.OutputStream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(body), _end.Token);
            response.Close();
        }
        catch (Exception gone) when (gone is OperationCanceledException or HttpListenerException or InvalidOperationException)
        {
            // The client gave up.
        }
    }

    // The time of timers is the real one.
    private sealed class SetClock : TimeProvider
    {
        public TimeSpan Passed { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Passed.Ticks;
    }

    private static string Error(string code) => $"<Error><Code>{code}</Code><Message>{code}</Message></Error>";
}
