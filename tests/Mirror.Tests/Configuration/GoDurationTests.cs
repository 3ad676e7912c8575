using Mirror.Configuration;
using Xunit;

namespace Mirror.Tests.Configuration;

public sealed class GoDurationTests
{
    [Theory]
    [InlineData("10m", 600_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("1.5h", 5_400_000)]
    [InlineData("500ms", 500)]
    [InlineData("168h", 604_800_000)]
    [InlineData("600", 600_000)]
    [InlineData("0", 0)]
    [InlineData("-1s", -1000)]
    [InlineData("+1.s", 1000)]
    [InlineData(".5s", 500)]
    [InlineData("2000us", 2)]
    [InlineData("2000µs", 2)]
    [InlineData("2000μs", 2)]
    [InlineData("3000000ns", 3)]
    public void Durations_of_Go_and_whole_seconds_are_read(string text, long milliseconds)
    {
        Assert.True(GoDuration.TryParse(text, out var duration));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), duration);
    }

    [Theory]
    [InlineData("")]
    [InlineData("s")]
    [InlineData(".")]
    [InlineData(".s")]
    [InlineData("10 m")]
    [InlineData("1d")]
    [InlineData("1.5")]
    [InlineData("1h30")]
    [InlineData("--1s")]
    [InlineData("00:10:00")]
    [InlineData("10M")]
    [InlineData("99999999999999999999h")]
    [InlineData("9999999999999h")]
    [InlineData("9999999999999999999999999999999999999999s")]
    public void Other_text_is_refused(string text) => Assert.False(GoDuration.TryParse(text, out _));

    [Theory]
    [InlineData("0s")]
    [InlineData("10m")]
    [InlineData("1h30m")]
    [InlineData("500ms")]
    [InlineData("1m0.5s")]
    [InlineData("168h")]
    [InlineData("-1h5s")]
    [InlineData("0.0001ms")]
    public void The_written_text_is_short_and_is_read_back(string text)
    {
        Assert.True(GoDuration.TryParse(text, out var duration));
        var written = GoDuration.Format(duration);

        Assert.True(GoDuration.TryParse(written, out var again));
        Assert.Equal(duration, again);
        Assert.Equal(text, written);
    }
}
