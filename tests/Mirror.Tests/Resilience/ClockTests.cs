using System.Globalization;
using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>The machine's date is wrong by a month, and is set right. Nothing waits longer than it was told to.</summary>
public sealed class ClockTests : MirrorOfHub
{
    private readonly ShiftedClock _clock = new();

    protected override MirrorSettings Settings(ScriptedHub hub)
    {
        _clock.Set(30);
        return new() { Upstream = hub.Url, TagsCacheTtl = "1s", Environment = _clock.Environment, More = "  wait_limited: 0\n" };
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _clock.Dispose();
    }

    [Theory]
    [InlineData(30, 0)]
    [InlineData(0, -30)]
    [InlineData(-30, 0)]
    public async Task A_pause_that_upstream_asked_for_is_no_longer_when_the_date_is_set(int before, int after)
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        _clock.Set(before);
        Hub.Script(Asked.Manifest, Answer.TooManyRequests("3"), times: 1);
        using (var limited = await Mirror.GetAsync(ManifestPath("latest")))
            await AssertErrorAsync(HttpStatusCode.TooManyRequests, limited);
        _clock.Set(after);
        await UntilServedAsync();
    }

    [Theory]
    [InlineData(30)]
    [InlineData(-30)]
    public async Task A_Retry_After_with_a_date_is_counted_by_the_upstreams_own_clock(int days)
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        _clock.Set(days);
        Hub.Script(Asked.Manifest, Answer.By(context =>
        {
            context.Response.StatusCode = 429;
            var until = context.Response.Headers.Date.Count > 0
                ? DateTimeOffset.Parse(context.Response.Headers.Date!, CultureInfo.InvariantCulture)
                : DateTimeOffset.UtcNow;
            context.Response.Headers.RetryAfter = until.AddSeconds(300).ToString("R");
            return Task.CompletedTask;
        }), times: 1);
        using var limited = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.TooManyRequests, limited);
        // More than the minute for a 429 that says nothing.
        Assert.InRange(limited.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 61, 301);
    }

    [Fact]
    public async Task A_pause_without_bounds_is_bounded()
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        Hub.Script(Asked.Manifest, Answer.TooManyRequests("2000000000"), times: 1);
        using var limited = await Mirror.GetAsync(ManifestPath("latest"));
        await AssertErrorAsync(HttpStatusCode.TooManyRequests, limited);
        Assert.InRange(limited.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, TimeSpan.FromHours(6).TotalSeconds);
    }

    [Fact]
    public async Task An_upstream_that_was_left_alone_is_asked_again_when_the_date_is_set()
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await Hub.Registry.TakeDownAsync();
        await Until.TrueAsync(
            async () =>
            {
                using var down = await Mirror.GetAsync(ManifestPath("latest"));
                return (await down.Content.ReadAsStringAsync(Cancel)).Contains("circuit breaker", StringComparison.Ordinal);
            },
            () => "The upstream is asked again and again.");
        _clock.Set(0);
        await Hub.Registry.BringUpAsync();
        await UntilServedAsync();
    }

    [Fact]
    public async Task A_tag_that_was_checked_a_month_ahead_is_checked_again()
    {
        Hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await UntilServedAsync();
        var moved = Hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        _clock.Set(0);
        await Until.TrueAsync(
            async () =>
            {
                using var response = await Mirror.GetAsync(ManifestPath("latest"));
                return (await response.Content.ReadAsByteArrayAsync(Cancel)).AsSpan().SequenceEqual(moved.Bytes);
            },
            () => "The tag never moves.");
    }

    private Task UntilServedAsync() => Until.TrueAsync(
        async () =>
        {
            using var response = await Mirror.GetAsync(ManifestPath("latest"));
            return response.StatusCode == HttpStatusCode.OK;
        },
        () => $"The pause does not end:\n{string.Join('\n', Mirror.Log.TakeLast(20))}");
}
