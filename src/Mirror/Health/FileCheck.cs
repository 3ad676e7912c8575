using Mirror.Configuration;

namespace Mirror.Health;

/// <summary><see cref="FileHealthOptions"/></summary>
internal sealed class FileCheck(FileHealthOptions options) : PatientCheck(options)
{
    protected override Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken) => Task.FromResult(Path.Exists(options.File) ? "file exists" : null);
}
