using System.Net;
using Microsoft.Extensions.Time.Testing;
using Mirror.Tests.Peers;
using Mirror.Upstream;
using Polly;
using Polly.CircuitBreaker;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>How long a host that refuses connections is left alone: on a clock of the test's own.</summary>
public sealed class BreakTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly ResiliencePipeline<HttpResponseMessage> _host;

    public BreakTests() => _host = UpstreamHandlers.Breakers(new UpstreamTroubles(_clock), _clock);

    [Fact]
    public async Task A_host_that_was_away_for_a_moment_is_asked_again_after_a_second()
    {
        await FailAsync(3);
        await AssertLeftAloneAsync();
        Pass(1);
        await AnswerAsync();
        await AnswerAsync();
    }

    [Fact]
    public async Task While_it_is_away_each_pause_is_twice_as_long_as_the_one_before_up_to_ten_seconds()
    {
        await FailAsync(3);
        foreach (var pause in (int[])[1, 2, 4, 8, 10, 10])
        {
            Pass(pause - 1);
            await AssertLeftAloneAsync();
            Pass(1);
            await FailAsync(1);
        }
        Pass(10);
        await AnswerAsync();

        // Its next outage begins with a short pause again.
        Pass(60);
        await FailAsync(3);
        Pass(1);
        await AnswerAsync();
    }

    [Fact]
    public async Task While_the_first_answer_after_a_pause_is_slow_other_requests_are_sent_when_it_has_surely_connected()
    {
        await FailAsync(3);
        Pass(1);
        var (first, slow) = await BeginTrialAsync();
        Pass(10);
        await AssertLeftAloneAsync();
        Pass(1);
        await Until.TrueAsync(
            async () =>
            {
                try
                {
                    await AnswerAsync();
                    return true;
                }
                catch (BrokenCircuitException)
                {
                    return false;
                }
            },
            () => "Requests fail although none has failed since the pause.");
        Assert.False(first.IsCompleted);
        slow.SetResult(new(HttpStatusCode.OK));
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
    }

    [Fact]
    public async Task After_a_pause_a_connection_that_takes_too_long_makes_the_next_pause_longer()
    {
        await FailAsync(3);
        Pass(1);
        var (trial, hangs) = await BeginTrialAsync();
        // As long as a connection may take.
        Pass(10);
        hangs.SetException(new TaskCanceledException("no connection", new TimeoutException()));
        await Assert.ThrowsAsync<TaskCanceledException>(() => trial);
        Pass(1);
        await AssertLeftAloneAsync();
        Pass(1);
        await AnswerAsync();
    }

    // A request that the host was asked for, and the answer that it waits for.
    private async Task<(Task<HttpResponseMessage> Trial, TaskCompletionSource<HttpResponseMessage> Answer)> BeginTrialAsync()
    {
        var (answer, asked) = (new TaskCompletionSource<HttpResponseMessage>(), new TaskCompletionSource());
        var trial = _host.ExecuteAsync(
            async _ =>
            {
                asked.SetResult();
                return await answer.Task;
            },
            TestContext.Current.CancellationToken).AsTask();
        await asked.Task;
        return (trial, answer);
    }

    private void Pass(int seconds) => _clock.Advance(TimeSpan.FromSeconds(seconds));

    private async Task FailAsync(int times)
    {
        for (var i = 0; i < times; i++)
            await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(() => throw new HttpRequestException("Connection refused")));
    }

    private async Task AnswerAsync() =>
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(() => new HttpResponseMessage(HttpStatusCode.OK))).StatusCode);

    private async Task AssertLeftAloneAsync() =>
        await Assert.ThrowsAsync<BrokenCircuitException>(() => SendAsync(() => throw new HttpRequestException("It was asked.")));

    private Task<HttpResponseMessage> SendAsync(Func<HttpResponseMessage> answer) =>
        _host.ExecuteAsync(_ => ValueTask.FromResult(answer()), TestContext.Current.CancellationToken).AsTask();
}
