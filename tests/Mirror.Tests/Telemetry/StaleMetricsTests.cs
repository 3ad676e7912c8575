using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Mirror.Telemetry;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>The age of the oldest stale answer, which is forgotten after a while.</summary>
public sealed class StaleMetricsTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly MeterListener _listener = new();
    private readonly StaleMetrics _metrics;
    private double _age;

    public StaleMetricsTests()
    {
        var meter = new MirrorMeter(_services.GetRequiredService<IMeterFactory>());
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter == meter.Meter)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((_, value, _, _) => _age = value);
        _listener.Start();
        _metrics = new StaleMetrics(meter, _time);
    }

    [Fact]
    public void The_oldest_answer_counts_until_ten_minutes_are_over()
    {
        Assert.Equal(0, Age());
        _metrics.Served(TimeSpan.FromHours(2));
        _metrics.Served(TimeSpan.FromHours(1));
        Assert.Equal(7200, Age());

        _time.Advance(TimeSpan.FromMinutes(6));
        _metrics.Served(TimeSpan.FromHours(1));
        Assert.Equal(7200, Age());

        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(3600, Age());

        _time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(0, Age());
    }

    [Fact]
    public void Nothing_is_left_of_it_after_a_long_silence()
    {
        _metrics.Served(TimeSpan.FromHours(2));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(0, Age());
    }

    public void Dispose()
    {
        _listener.Dispose();
        _services.Dispose();
    }

    private double Age()
    {
        _listener.RecordObservableInstruments();
        return _age;
    }
}
