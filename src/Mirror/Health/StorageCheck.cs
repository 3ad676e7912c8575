using Mirror.Configuration;
using Mirror.Telemetry;

namespace Mirror.Health;

/// <summary><see cref="StorageHealthOptions"/></summary>
internal sealed class StorageCheck(StorageHealthOptions options, Readiness readiness) : PatientCheck(options)
{
    protected override Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken) => readiness.StoreFailureAsync(cancellationToken);
}
