using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>Fails while a file exists: <see cref="FileHealthOptions"/>. As in <c>registry:2</c>, it also fails while the server cannot find
/// out whether the file exists, such as in a folder that it may not enter.</summary>
internal sealed class FileCheck(FileHealthOptions options) : HealthCheck(options.File, options)
{
    public override Task<string?> FailureAsync(CancellationToken cancellationToken)
    {
        try
        {
            // Path.Exists would be false for every failure.
            _ = File.GetAttributes(options.File);
            return Task.FromResult<string?>("file exists");
        }
        catch (Exception none) when (none is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromResult<string?>(null);
        }
    }
}
