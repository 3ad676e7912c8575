using Mirror.Configuration;

namespace Mirror.Health;

/// <summary><see cref="FileHealthOptions"/></summary>
internal sealed class FileCheck(FileHealthOptions options) : HealthCheck(options.File, options)
{
    public override Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken) => Task.FromResult(Path.Exists(options.File) ? "file exists" : null);
}
