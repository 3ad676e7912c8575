using System.Collections.Concurrent;
using System.Globalization;

namespace Mirror.Health;

/// <summary>Runs each check at its own interval, never twice at a time, and knows which of them fail now.</summary>
/// <remarks>
/// The framework's health checks have no thresholds, start a check again while it still hangs, and report no result before the slowest
/// check has ended.
/// </remarks>
public sealed partial class HealthChecks : BackgroundService
{
    private readonly IReadOnlyList<HealthCheck> _checks;
    private readonly TimeProvider _time;
    private readonly ILogger<HealthChecks> _log;
    private readonly ConcurrentDictionary<HealthCheck, string> _failing = new();

    internal HealthChecks(IReadOnlyList<HealthCheck> checks, TimeProvider time, ILogger<HealthChecks> log) =>
        (_checks, _time, _log) = (checks, time, log);

    /// <summary>The reasons of the failed checks, by the names of the checks.</summary>
    public Dictionary<string, string> Failing
    {
        get
        {
            Dictionary<string, string> failing = [];
            foreach (var (check, reason) in _failing)
                failing[check.Name] = reason;
            return failing;
        }
    }

    /// <summary>Whether the server refuses a request.</summary>
    /// <param name="asksForHealth">Whether the request asks only for the health of the server, as load balancers do.</param>
    public bool Refuse(bool asksForHealth)
    {
        foreach (var (check, _) in _failing)
            if (check.Refuses || asksForHealth)
                return true;
        return false;
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(_checks.Select(check => WatchAsync(check, stoppingToken)));

    private async Task WatchAsync(HealthCheck check, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(check.Interval, _time);
        var failures = 0;
        do
        {
            var failure = await CheckAsync(check, stop);
            failures = failure is null ? 0 : failures + 1;
            if (failure is null)
                Succeeded(check);
            else if (failures >= check.Threshold)
                Failed(check, failure);
        }
        while (await timer.WaitForNextTickAsync(stop));
    }

    private async Task<string?> CheckAsync(HealthCheck check, CancellationToken stop)
    {
        using var limit = new CancellationTokenSource(check.TimeLimit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, limit.Token);
        try
        {
            return await check.FailureAsync(either.Token);
        }
        catch (Exception) when (limit.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            return string.Create(CultureInfo.InvariantCulture, $"no answer within {check.TimeLimit.TotalSeconds} s");
        }
        catch (Exception failure) when (!stop.IsCancellationRequested)
        {
            return failure.GetBaseException().Message;
        }
    }

    private void Failed(HealthCheck check, string reason)
    {
        if (!_failing.ContainsKey(check))
            LogFails(check.Name, reason);
        _failing[check] = reason;
    }

    private void Succeeded(HealthCheck check)
    {
        if (_failing.TryRemove(check, out _))
            LogSucceeds(check.Name);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the health check {Check} fails: {Reason}")]
    private partial void LogFails(string check, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "the health check {Check} succeeds again")]
    private partial void LogSucceeds(string check);
}
