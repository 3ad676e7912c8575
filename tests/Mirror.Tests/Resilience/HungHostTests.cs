using System.Net;
using Mirror.Upstream;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>When a host counts as one that hangs: on a clock of the test's own, because it takes a minute.</summary>
public sealed class HungHostTests
{
    private readonly Clock _clock = new();
    private readonly ResiliencePipeline<HttpResponseMessage> _host;

    public HungHostTests() => _host = new ResiliencePipelineBuilder<HttpResponseMessage>()
        .AddStrategy(_ => new HungHost(_clock), new Options()).Build();

    [Fact]
    public async Task A_host_that_answers_no_request_for_a_minute_is_refused_but_for_one_request_in_ten_seconds()
    {
        var (first, second) = (Send(), Send());
        _clock.Pass(59);
        var third = Send();
        Assert.False(third.Result.IsCompleted);
        _clock.Pass(1);
        var probe = Send();
        Assert.False(probe.Result.IsCompleted);
        await AssertRefusedAsync();
        _clock.Pass(10);
        Assert.False(Send().Result.IsCompleted);
        await AssertRefusedAsync();

        // Any answer ends it.
        second.Answer.SetResult(new HttpResponseMessage(HttpStatusCode.NotFound));
        await second.Result;
        Assert.False(Send().Result.IsCompleted);
        Assert.False(Send().Result.IsCompleted);
        Assert.False(first.Result.IsCompleted);
    }

    [Fact]
    public async Task Requests_that_were_given_up_count_until_an_answer_comes()
    {
        for (var i = 0; i < 7; i++)
        {
            var request = Send();
            _clock.Pass(9);
            request.Answer.SetException(new TimeoutRejectedException());
            await Assert.ThrowsAsync<TimeoutRejectedException>(() => request.Result);
        }
        var probe = Send();
        await AssertRefusedAsync();
        probe.Answer.SetException(new HttpRequestException("reset"));
        await Assert.ThrowsAsync<HttpRequestException>(() => probe.Result);
        Assert.False(Send().Result.IsCompleted);
        Assert.False(Send().Result.IsCompleted);
    }

    [Fact]
    public async Task One_slow_answer_is_no_hanging_host()
    {
        var slow = Send();
        for (var i = 0; i < 30; i++)
        {
            _clock.Pass(10);
            // Clients that leave say nothing about the host.
            var cancelled = Send();
            cancelled.Answer.SetException(new OperationCanceledException());
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.Result);
        }
        Assert.False(Send().Result.IsCompleted);
        Assert.False(slow.Result.IsCompleted);
    }

    [Fact]
    public async Task Slow_answers_among_quick_ones_are_no_hanging_host()
    {
        List<Request> slow = [Send(), Send(), Send()];
        for (var i = 0; i < 30; i++)
        {
            _clock.Pass(30);
            var quick = Send();
            quick.Answer.SetResult(new HttpResponseMessage());
            await quick.Result;
        }
        Assert.All(slow, request => Assert.False(request.Result.IsCompleted));
    }

    [Fact]
    public async Task What_was_given_up_long_ago_is_forgotten()
    {
        for (var i = 0; i < 3; i++)
        {
            _clock.Pass(120);
            var request = Send();
            request.Answer.SetException(new TimeoutRejectedException());
            await Assert.ThrowsAsync<TimeoutRejectedException>(() => request.Result);
        }
        Assert.False(Send().Result.IsCompleted);
        Assert.False(Send().Result.IsCompleted);
    }

    private async Task AssertRefusedAsync() => await Assert.ThrowsAsync<BrokenCircuitException>(() => Send().Result);

    private Request Send()
    {
        var answer = new TaskCompletionSource<HttpResponseMessage>();
        return new Request(answer, _host.ExecuteAsync(async _ => await answer.Task).AsTask());
    }

    private sealed record Request(TaskCompletionSource<HttpResponseMessage> Answer, Task<HttpResponseMessage> Result);

    private sealed class Options : ResilienceStrategyOptions;

    private sealed class Clock : TimeProvider
    {
        private long _seconds = 1000;

        public override long TimestampFrequency => 1;

        public void Pass(int seconds) => _seconds += seconds;

        public override long GetTimestamp() => _seconds;
    }
}
