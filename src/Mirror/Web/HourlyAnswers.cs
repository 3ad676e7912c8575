using Mirror.Telemetry;

namespace Mirror.Web;

/// <summary>The answers to pulls in each of the last 24 hours. It reads what is counted anyway, once a minute.</summary>
internal sealed class HourlyAnswers(RequestMetrics metrics, TimeProvider time) : BackgroundService
{
    private const int Hours = 24;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<DateTimeOffset, AnswerTotals> _byHour = [];
    private AnswerTotals _read;

    /// <summary>Each of the last 24 hours, the oldest first, up to now.</summary>
    public IReadOnlyList<(DateTimeOffset Hour, AnswerTotals Answers)> List()
    {
        lock (_gate)
        {
            Read();
            var now = HourNow();
            return [.. Enumerable.Range(1 - Hours, Hours).Select(i => now.AddHours(i)).Select(h => (h, _byHour.GetValueOrDefault(h)))];
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            lock (_gate)
                Read();
    }

    private void Read()
    {
        var now = metrics.Answers;
        var more = now - _read;
        _read = now;
        var hour = HourNow();
        var before = _byHour.GetValueOrDefault(hour);
        _byHour[hour] = new(
            before.Pulls + more.Pulls, before.Hits + more.Hits, before.SavedBytes + more.SavedBytes, before.SavedPulls + more.SavedPulls);
        while (_byHour.Count > Hours)
            _byHour.Remove(_byHour.Keys.First());
    }

    private DateTimeOffset HourNow()
    {
        var now = time.GetUtcNow();
        return now.AddTicks(-(now.Ticks % TimeSpan.TicksPerHour));
    }
}
