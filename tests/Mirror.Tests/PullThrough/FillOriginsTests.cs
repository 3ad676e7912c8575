using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.PullThrough.Fills;
using Mirror.Repositories;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Mirror.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>Which of several repositories sends the bytes of a download that their clients share.</summary>
public sealed class FillOriginsTests : IDisposable
{
    private const int KiB = 1024;
    private const int MiB = 1024 * 1024;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly HeldAnswers _askedOne = new();
    private readonly HeldAnswers _askedTwo = new();
    private readonly ExpectedSizes _sizes = new();
    private readonly Refusals _refusals;
    private readonly FillSource _one;
    private readonly FillSource _two;
    private readonly FillOrigin _first;
    private readonly FillOrigins _origins;
    private FillTurn _turn;

    public FillOriginsTests()
    {
        _refusals = new Refusals(_time);
        (_one, _two) = (NewSource(_askedOne), NewSource(_askedTwo));
        _first = new FillOrigin(_one, Name("o/first"), null, null) { IsProved = true };
        _origins = new FillOrigins(_first, Digest.Of([1]), _time);
        _turn = _origins.Begin(CancellationToken.None);
    }

    public void Dispose()
    {
        _origins.Dispose();
        _refusals.Dispose();
        _sizes.Dispose();
        _askedOne.Dispose();
        _askedTwo.Dispose();
        _services.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_origin_without_a_byte_keeps_its_turn_for_a_moment(bool isOneUpstream)
    {
        var second = Join(isOneUpstream ? _one : _two, "o/second");
        Pass(0.2 * Second);
        Assert.False(_turn.IsOver);
        Pass(0.1 * Second);
        Assert.True(_turn.IsOver);
        Assert.Same(second, NextTurn());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20 * KiB)]
    public void A_download_returns_from_a_neighbour_that_is_silent_or_slow(int bytesPerSecond)
    {
        // The first turn ends before its first byte.
        Join(_two, "o/second");
        Pass(2 * Second);
        NextTurn();
        for (var i = 0; i < 4 && !_turn.IsOver; i++)
            Pass(Second, bytesPerSecond);
        Assert.True(_turn.IsOver);
        Assert.Same(_first, NextTurn());
    }

    [Fact]
    public void An_origin_whose_first_byte_takes_a_second_gets_the_time_in_its_second_turn()
    {
        Join(_two, "o/second");
        for (var i = 0; i < 2; i++)
        {
            Pass(0.3 * Second);
            NextTurn();
        }
        Assert.Same(_first, _turn.Origin);
        Pass(0.9 * Second);
        Assert.False(_turn.IsOver);
        Pass(0.2 * Second);
        Assert.True(_turn.IsOver);
    }

    [Fact]
    public async Task A_request_whose_turn_ends_continues_and_its_answer_brings_the_turn_back()
    {
        Join(_two, "o/second");
        using var request = new ScriptedRequest();
        await OpenInVainAsync(request);
        Pass(0.1 * Second);
        Assert.False(_turn.IsOver);

        var answer = new BytesContent([]);
        request.Answer(answer);
        Pass(TimeSpan.Zero);
        Assert.True(_turn.IsOver);
        Assert.Same(_first, NextTurn());
        await using var content = await _first.OpenAsync(0, request.SendAsync, _turn.Stop);
        Assert.Same(answer, content);
        Assert.Equal(1, request.Sent);
    }

    [Fact]
    public async Task A_request_whose_turn_ended_ends_when_many_bytes_come_from_another_origin()
    {
        Join(_two, "o/second");
        using var request = new ScriptedRequest();
        await OpenInVainAsync(request);
        Pass(0.1 * Second, 2 * MiB);
        Assert.False(_turn.IsOver);
        await Until.TrueAsync(() => request.HasEnded, () => "The request goes on.");
    }

    [Fact]
    public async Task A_late_answer_takes_over_from_an_origin_that_is_known_to_be_slow()
    {
        var second = Join(_two, "o/second");
        using var request = new ScriptedRequest();
        await OpenInVainAsync(request);
        Pass(0.3 * Second);
        Assert.Same(_first, NextTurn());
        Pass(1.1 * Second);
        Assert.Same(second, NextTurn());
        _two.Remember(second.Name, 20 * KiB);
        Pass(0.1 * Second, 2 * KiB);
        Assert.False(_turn.IsOver);

        var answer = new BytesContent(new byte[10 * KiB]);
        request.Answer(answer);
        Pass(TimeSpan.Zero);
        Assert.True(_turn.IsOver);
        Assert.Same(_first, NextTurn());
        // The bytes that came from the other origin meanwhile are skipped.
        await using var content = await _first.OpenAsync(2 * KiB, request.SendAsync, _turn.Stop);
        Assert.Same(answer, content);
        Assert.Equal(1, request.Sent);
    }

    [Fact]
    public async Task The_failure_of_a_request_whose_turn_ended_is_that_of_its_own_clients()
    {
        var second = Join(_two, "o/second");
        using var request = new ScriptedRequest();
        await OpenInVainAsync(request);
        request.Fail(new UpstreamMissingException("There is no such blob."));
        Pass(0.1 * Second);
        await Assert.ThrowsAsync<UpstreamMissingException>(() => _first.Opened);
        Assert.Equal([second.Name], _origins.Names);
        _origins.AdmitClients();
        Assert.True(await second.Opened);
    }

    [Fact]
    public async Task Clients_of_an_origin_without_an_answer_are_not_admitted_by_the_bytes_of_another_one()
    {
        using var request = new ScriptedRequest();
        var second = await AdmitBeforeAnAnswerAsync(request);
        Assert.True(await second.Opened);
        Assert.False(_first.Opened.IsCompleted);
        Pass(TimeSpan.Zero, 2 * MiB);
        Assert.False(await _first.Opened);
        await Until.TrueAsync(() => request.HasEnded, () => "The request goes on.");
        Assert.Null(_origins.Find(_first.Name, null));
    }

    [Fact]
    public async Task Clients_of_an_origin_that_answers_second_are_admitted_without_a_further_request()
    {
        using var request = new ScriptedRequest();
        await AdmitBeforeAnAnswerAsync(request);
        request.Answer(new BytesContent(new byte[MiB]));
        Pass(TimeSpan.Zero, MiB / 2);
        Assert.True(await _first.Opened);
        Assert.Null(_first.Request);
        Assert.Contains(_first.Name, _origins.Close());
    }

    [Fact]
    public async Task Clients_of_an_origin_without_an_answer_ask_again_when_the_download_has_ended()
    {
        using var request = new ScriptedRequest();
        await AdmitBeforeAnAnswerAsync(request);
        Assert.DoesNotContain(_first.Name, _origins.Close());
        Assert.False(await _first.Opened);
    }

    [Fact]
    public async Task Another_upstream_is_asked_at_once_beside_one_that_has_not_answered()
    {
        _ = _origins.OpenAsync(_first, 0, _turn.Stop);
        var second = Join(_two, "o/second");
        Assert.Equal(1, _askedTwo.Count);
        Assert.False(_turn.IsOver);
        _askedTwo.Answer(HttpStatusCode.OK);
        await Until.TrueAsync(() => _turn.IsOver, () => "The answer of the second upstream does not count.");
        Assert.Same(second, NextTurn());
        await using var content = await _origins.OpenAsync(second, 0, _turn.Stop);
        Assert.Equal(1, _askedTwo.Count);
    }

    [Fact]
    public async Task Another_upstream_takes_over_from_one_that_sends_hardly_anything()
    {
        _ = _origins.OpenAsync(_first, 0, _turn.Stop);
        _turn.Received(KiB);
        var second = Join(_two, "o/second");
        _askedTwo.Answer(HttpStatusCode.OK);
        await Until.TrueAsync(() => second.Request is { HasAnswered: true }, () => "The second upstream was not asked.");
        Pass(0.05 * Second, KiB);
        Assert.False(_turn.IsOver);
        Pass(0.1 * Second);
        Assert.True(_turn.IsOver);
        Assert.Same(second, NextTurn());
    }

    [Fact]
    public async Task An_upstream_that_was_asked_beside_another_one_sends_no_bytes_if_the_other_one_does()
    {
        _ = _origins.OpenAsync(_first, 0, _turn.Stop);
        var second = Join(_two, "o/second");
        Assert.Equal(1, _askedTwo.Count);
        _turn.Received(256 * KiB);
        _askedTwo.Answer(HttpStatusCode.OK);
        await Until.TrueAsync(() => second.Request is null, () => "The answer is kept.");
        Assert.False(_turn.IsOver);
    }

    [Theory]
    [InlineData(HttpStatusCode.NotFound)]
    [InlineData(HttpStatusCode.TooManyRequests)]
    [InlineData(HttpStatusCode.ServiceUnavailable)]
    public async Task The_failure_of_an_upstream_that_was_asked_beside_another_one_costs_its_clients_nothing(HttpStatusCode status)
    {
        _ = _origins.OpenAsync(_first, 0, _turn.Stop);
        var second = Join(_two, "o/second");
        _askedTwo.Answer(status);
        await Until.TrueAsync(() => second.Request is null, () => "The answer is kept.");
        Pass(0.1 * Second);
        Assert.Equal(1, _askedTwo.Count);
        Assert.False(_turn.IsOver);
        _origins.AdmitClients();
        Assert.True(await second.Opened);
    }

    [Fact]
    public void Nothing_is_asked_beside_an_upstream_that_sends_or_of_one_that_is_asked_or_known_to_be_slow()
    {
        _ = _origins.OpenAsync(_first, 0, _turn.Stop);
        Join(_one, "o/second");
        Assert.Equal(1, _askedOne.Count);
        _two.Remember(Name("o/slow"), 20 * KiB);
        Join(_two, "o/slow");
        Assert.Equal(0, _askedTwo.Count);
        _turn.Received(MiB);
        Join(_two, "o/third");
        Assert.Equal(0, _askedTwo.Count);
    }

    [Fact]
    public void No_upstream_is_asked_while_the_bytes_come_from_another_replica()
    {
        Join(_two, "o/second");
        Pass(0.1 * Second);
        Assert.Equal(0, _askedTwo.Count);
    }

    [Fact]
    public void Origins_that_are_all_silent_do_not_take_turns_for_ever()
    {
        Join(_two, "o/second");
        for (var i = 0; i < 20 && (i == 0 || _turn.IsOver); i++)
        {
            if (_turn.IsOver)
                NextTurn();
            Pass(60 * Second);
        }
        // The time limits of its request end this turn.
        Assert.False(_turn.IsOver);
    }

    [Fact]
    public void All_neighbours_get_a_turn_while_others_are_silent()
    {
        Join(_two, "o/second");
        var third = Join(_two, "o/third");
        Pass(2 * Second);
        var next = NextTurn();
        if (next != third)
        {
            Pass(2 * Second);
            next = NextTurn();
        }
        Assert.Same(third, next);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_slow_origin_loses_its_turn_at_once_to_one_of_unknown_pace(bool isOneUpstream)
    {
        for (var i = 0; i < 4; i++)
            Pass(Second, 20 * KiB);
        Join(isOneUpstream ? _one : _two, "o/second");
        Pass(TimeSpan.Zero);
        Assert.True(_turn.IsOver);
    }

    [Fact]
    public void An_origin_with_a_usual_pace_keeps_its_turn_beside_one_of_unknown_pace()
    {
        Join(_two, "o/second");
        for (var i = 0; i < 100; i++)
            Pass(0.1 * Second, 3 * MiB / 10);
        Assert.False(_turn.IsOver);
    }

    [Fact]
    public void An_origin_loses_its_turn_to_one_that_is_known_to_be_more_than_twice_as_fast()
    {
        _two.Remember(Name("o/second"), 8 * MiB);
        Join(_two, "o/second");
        for (var i = 0; i < 40; i++)
            Pass(0.1 * Second, 3 * MiB / 10);
        Assert.True(_turn.IsOver);
    }

    [Fact]
    public void No_origin_of_wrong_bytes_is_taken_for_fast()
    {
        var second = Join(_two, "o/second");
        _turn.Received(MiB);
        Pass(Second, MiB);
        _origins.Cut(_turn.Origin);
        Assert.Same(second, NextTurn());
        _turn.Received(MiB);
        Pass(Second, MiB);
        _origins.End(_turn);
        _origins.Distrust();
        Assert.Equal(0, _one.KnownPace(_first.Name));
        Assert.Equal(0, _two.KnownPace(second.Name));

        // The wrong bytes are dropped: only the first origin has sent those that come now.
        Assert.True(_origins.TryGoOnWithout(second, new InvalidOperationException("The bytes are wrong.")));
        _two.Remember(second.Name, MiB);
        _turn = _origins.Begin(CancellationToken.None);
        _turn.Received(MiB);
        Pass(Second, MiB);
        _origins.End(_turn);
        _origins.Distrust();
        Assert.Equal(0, _one.KnownPace(_first.Name));
        Assert.Equal(MiB, _two.KnownPace(second.Name));
        _turn = _origins.Begin(CancellationToken.None);
    }

    [Fact]
    public void The_time_before_the_first_byte_does_not_count_as_slowness()
    {
        Join(_two, "o/second");
        Pass(0.2 * Second);
        _turn.Received(MiB / 4);
        Pass(TimeSpan.FromMilliseconds(200), MiB / 4);
        Assert.False(_turn.IsOver);
    }

    [Fact]
    public void A_pause_of_the_mirror_is_not_taken_for_silence_or_slowness()
    {
        Join(_two, "o/second");
        _turn.Received(MiB);
        _turn.Pause();
        Pass(60 * Second);
        Assert.False(_turn.IsOver);
        _turn.Resume();
        Pass(0.1 * Second, MiB);
        Assert.False(_turn.IsOver);
        NextTurn();
        Assert.Equal(20 * MiB, _one.KnownPace(_first.Name));
    }

    [Fact]
    public async Task The_wait_for_a_limit_of_upstream_is_not_remembered_as_slowness()
    {
        _turn.Received(MiB);
        var isLimited = true;
        var receiving = _turn.ReceiveAsync(
            () =>
            {
                if (!isLimited)
                    return Task.FromResult(true);
                isLimited = false;
                throw new UpstreamLimitedException("later", 5 * Second);
            },
            () => true);
        _time.Advance(5 * Second);
        Assert.True(await receiving);
        Pass(0.1 * Second, MiB);
        NextTurn();
        Assert.Null(_one.KnownPace(_first.Name));
    }

    [Fact]
    public void Cut_bytes_lead_to_an_origin_that_has_not_failed_at_this_place()
    {
        var second = Join(_two, "o/second");
        _turn.Received(MiB);
        _origins.Cut(_turn.Origin);
        Assert.True(_turn.IsOver);
        Assert.Same(second, NextTurn());
        // Both cut the bytes at the same place: no further change, until one of them has failed for good.
        _origins.Cut(_turn.Origin);
        Assert.False(_turn.IsOver);
        // At a later place, the first one may be better.
        _turn.Received(MiB);
        _origins.Cut(_turn.Origin);
        Assert.True(_turn.IsOver);
        Assert.Same(_first, NextTurn());
    }

    /// <summary>The first origin asks, gets no answer, and loses its turn to the second one.</summary>
    private async Task OpenInVainAsync(ScriptedRequest request)
    {
        var opening = _first.OpenAsync(0, request.SendAsync, _turn.Stop);
        Pass(0.3 * Second);
        Assert.True(_turn.IsOver);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        Assert.NotSame(_first, NextTurn());
        Assert.NotNull(_first.Request);
    }

    /// <summary>The first origin gets no answer, and the clients are admitted by the bytes of the second one.</summary>
    /// <returns>The second one.</returns>
    private async Task<FillOrigin> AdmitBeforeAnAnswerAsync(ScriptedRequest request)
    {
        _first.IsProved = false;
        var second = Join(_two, "o/second");
        await OpenInVainAsync(request);
        _turn.Received(KiB);
        _origins.AdmitClients();
        return second;
    }

    private FillSource NewSource(HeldAnswers asked)
    {
        var options = new ProxyOptions { RemoteUrl = new Uri("https://registry.example") };
        var live = new LiveOptions(new MirrorOptions());
        var origin = new UpstreamOrigin(options, "registry.example");
        var metrics = new UpstreamMetrics(new MirrorMeter(_services.GetRequiredService<IMeterFactory>()));
        var state = new UpstreamState(origin, metrics, _time, NullLogger<UpstreamState>.Instance);
        var client = new UpstreamClient(
            origin, new Accounts(options, origin, live, _time), _refusals, state, asked.Client,
            new RegistryCheck(origin, state, asked.Client, _time), metrics, _time, NullLogger<UpstreamClient>.Instance);
        var retry = new OutageRetry(
            new CachePolicies(live), origin, metrics, new ApplicationLifetime(NullLogger<ApplicationLifetime>.Instance), _time,
            NullLogger<OutageRetry>.Instance);
        return new FillSource(client, 1, _sizes, null!, retry, _time);
    }

    private static RepositoryName Name(string name) => RepositoryName.Parse(name);

    private FillOrigin Join(FillSource source, string name) => _origins.Add(source, Name(name), null, TimeSpan.Zero)!;

    private void Pass(TimeSpan time, int bytes = 0)
    {
        _time.Advance(time);
        if (bytes > 0)
            _turn.Received(bytes);
        _origins.SwitchIfSlow();
    }

    private FillOrigin NextTurn()
    {
        _origins.End(_turn);
        _turn = _origins.Begin(CancellationToken.None);
        return _turn.Origin;
    }

    /// <summary>A request for the bytes of a blob that is answered when the test says so.</summary>
    private sealed class ScriptedRequest : IDisposable
    {
        private readonly TaskCompletionSource<Content> _answer = new();
        private CancellationTokenRegistration _ending;

        public int Sent { get; private set; }

        public bool HasEnded => _answer.Task.IsCanceled;

        public Task<Content> SendAsync(CancellationToken stop)
        {
            Sent++;
            _ending = stop.Register(() => _answer.TrySetCanceled(stop));
            return _answer.Task;
        }

        public void Answer(Content content) => _answer.SetResult(content);

        public void Fail(Exception failure) => _answer.SetException(failure);

        public void Dispose() => _ending.Dispose();
    }

    /// <summary>An upstream that answers its requests when the test says so.</summary>
    private sealed class HeldAnswers : HttpMessageHandler
    {
        private readonly TaskCompletionSource<HttpResponseMessage> _answer = new();

        public HeldAnswers() => Client = new HttpClient(this, disposeHandler: false);

        public HttpClient Client { get; }

        /// <summary>How many requests came.</summary>
        public int Count { get; private set; }

        public void Answer(HttpStatusCode status) => _answer.SetResult(new HttpResponseMessage(status)
        {
            Content = status == HttpStatusCode.OK ? new ByteArrayContent(new byte[MiB]) : new StringContent("{\"errors\":[]}"),
        });

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Count++;
            var answer = await _answer.Task.WaitAsync(cancellationToken);
            answer.RequestMessage = request;
            return answer;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                Client.Dispose();
            base.Dispose(disposing);
        }
    }
}
