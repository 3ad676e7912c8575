using System.Collections.Concurrent;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Mirror.Health;

/// <summary>The checks of section <c>health</c> that fail now.</summary>
public sealed partial class FailingChecks(ILogger<FailingChecks> log) : IHealthCheckPublisher
{
    /// <summary>
    /// The tag of checks that, when they fail, keep every request from being answered. That of the store is none: what is local of a bucket is
    /// served while that is away, and what is not says so itself.
    /// </summary>
    public const string Refuses = "refuses";

    private readonly ConcurrentDictionary<string, (string Reason, bool Refuses)> _failing = new();

    /// <summary>What is wrong, by the check's name.</summary>
    public Dictionary<string, string> Reasons => _failing.ToDictionary(check => check.Key, check => check.Value.Reason);

    /// <summary>Whether requests are not to be answered.</summary>
    /// <param name="asksForHealth">Whether one asks for nothing else than whether all is well, as load balancers do.</param>
    public bool Refuse(bool asksForHealth)
    {
        foreach (var (_, check) in _failing)
            if (check.Refuses || asksForHealth)
                return true;
        return false;
    }

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        foreach (var (name, check) in report.Entries)
        {
            if (check.Status == HealthStatus.Healthy)
            {
                if (_failing.TryRemove(name, out _))
                    LogWell(name);
                continue;
            }
            var reason = check.Description ?? "failed";
            if (!_failing.ContainsKey(name))
                LogUnwell(name, reason);
            _failing[name] = (reason, check.Tags.Contains(Refuses));
        }
        return Task.CompletedTask;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the health check {Check} fails: {Reason}")]
    private partial void LogUnwell(string check, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "the health check {Check} succeeds again")]
    private partial void LogWell(string check);
}
