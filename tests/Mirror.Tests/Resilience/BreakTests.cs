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

    [Fact]
    public async Task A_host_that_fails_for_several_URLs_is_left_alone_and_a_GET_ends_the_pause()
    {
        await AnswerAsync(HttpMethod.Get, "/a", HttpStatusCode.InternalServerError, times: 3);
        await AnswerAsync(HttpMethod.Get, "/b", HttpStatusCode.InternalServerError, times: 3);
        await AnswerAsync(HttpMethod.Get, "/a", HttpStatusCode.InternalServerError, times: 2);
        await Assert.ThrowsAsync<BrokenCircuitException>(
            () => SendAsync(HttpMethod.Get, "/c", () => throw new HttpRequestException("It was asked.")));
        // A HEAD is not sent either, and leaves the decision to the GET that follows.
        Pass(1);
        using (var head = await SendAsync(HttpMethod.Head, "/a", () => throw new HttpRequestException("It was asked.")))
            Assert.Equal(HttpStatusCode.NotImplemented, head.StatusCode);
        await AnswerAsync(HttpMethod.Get, "/a", HttpStatusCode.OK, times: 1);
        await AnswerAsync(HttpMethod.Head, "/a", HttpStatusCode.OK, times: 1);
    }

    [Fact]
    public async Task Failures_of_one_URL_and_of_HEAD_do_not_count_against_the_host()
    {
        for (var i = 0; i < 10; i++)
        {
            await AnswerAsync(HttpMethod.Head, $"/{i}", HttpStatusCode.ServiceUnavailable, times: 2);
            await AnswerAsync(HttpMethod.Get, "/broken", HttpStatusCode.InternalServerError, times: 3);
        }
        await AnswerAsync(HttpMethod.Get, "/a", HttpStatusCode.OK, times: 1);
    }

    public static TheoryData<HttpRequestError> Cuts => new(
        HttpRequestError.ResponseEnded, HttpRequestError.InvalidResponse, HttpRequestError.HttpProtocolError,
        HttpRequestError.ConfigurationLimitExceeded, HttpRequestError.Unknown);

    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task Connections_that_one_URL_cuts_do_not_count_against_the_host_and_those_of_several_do(HttpRequestError how)
    {
        await CutAsync("/broken", times: 20);
        await AnswerAsync(HttpMethod.Get, "/a", HttpStatusCode.OK, times: 1);
        Pass(60);
        await CutAsync("/broken", times: 3);
        await CutAsync("/broken-too", times: 3);
        await CutAsync("/broken", times: 2);
        await Assert.ThrowsAsync<BrokenCircuitException>(
            () => SendAsync(HttpMethod.Get, "/a", () => throw new HttpRequestException("It was asked.")));

        async Task CutAsync(string path, int times)
        {
            for (var i = 0; i < times; i++)
                await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(
                    HttpMethod.Get, path, () => throw new HttpRequestException(how, "It was cut.", new IOException("Connection reset"))));
        }
    }

    [Theory]
    [InlineData(HttpRequestError.ConnectionError)]
    [InlineData(HttpRequestError.NameResolutionError)]
    [InlineData(HttpRequestError.SecureConnectionError)]
    [InlineData(HttpRequestError.ProxyTunnelError)]
    public async Task Connections_that_cannot_be_made_count_against_the_host_even_if_all_are_for_one_URL(HttpRequestError why)
    {
        for (var i = 0; i < 3; i++)
            await Assert.ThrowsAsync<HttpRequestException>(
                () => SendAsync(HttpMethod.Get, "/a", () => throw new HttpRequestException(why, "No connection.", new IOException())));
        await AssertLeftAloneAsync();
    }

    [Fact]
    public async Task A_host_that_answers_HEADs_is_not_left_alone_because_of_two_broken_images()
    {
        for (var i = 0; i < 10; i++)
        {
            await AnswerAsync(HttpMethod.Head, $"/{i}", HttpStatusCode.OK, times: 3);
            await AnswerAsync(HttpMethod.Get, "/broken", HttpStatusCode.InternalServerError, times: 1);
            await AnswerAsync(HttpMethod.Get, "/broken-too", HttpStatusCode.InternalServerError, times: 1);
        }
        await AnswerAsync(HttpMethod.Get, "/a", HttpStatusCode.OK, times: 1);
    }

    private async Task AnswerAsync(HttpMethod method, string path, HttpStatusCode status, int times)
    {
        for (var i = 0; i < times; i++)
            using (var response = await SendAsync(method, path, () => new HttpResponseMessage(status)))
                Assert.Equal(status, response.StatusCode);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, Func<HttpResponseMessage> answer)
    {
        using var request = new HttpRequestMessage(method, new Uri($"http://a.example{path}"));
        var context = ResilienceContextPool.Shared.Get(TestContext.Current.CancellationToken);
        context.SetRequestMessage(request);
        return await _host.ExecuteAsync(
            _ =>
            {
                var response = answer();
                response.RequestMessage = request;
                return ValueTask.FromResult(response);
            },
            context);
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
