using Microsoft.Extensions.Diagnostics.HealthChecks;
using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>A check that counts once it has failed as often in a row as its threshold says.</summary>
internal abstract class PatientCheck(HealthCheckOptions options) : IHealthCheck
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(10);

    private int _failures;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var wrong = await LookAsync(cancellationToken);
        _failures = wrong is null ? 0 : _failures + 1;
        return wrong is null || _failures < options.Threshold ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(wrong);
    }

    /// <summary>What is wrong now; null where nothing is.</summary>
    protected abstract Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken);

    /// <summary>A time limit where none, which is 0, was set.</summary>
    protected static TimeSpan LimitOf(TimeSpan timeout) => timeout > TimeSpan.Zero ? timeout : DefaultTimeout;

    private async Task<string?> LookAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await WhatIsWrongAsync(cancellationToken);
        }
        catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
        {
            return failure.GetBaseException().Message;
        }
    }
}
