using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>Fails while a file exists: <see cref="FileHealthOptions"/>.</summary>
internal sealed class FileCheck(FileHealthOptions options) : HealthCheck(options.File, options)
{
    public override Task<string?> FailureAsync(CancellationToken cancellationToken) =>
        Task.FromResult(Path.Exists(options.File) ? "file exists" : null);
}
