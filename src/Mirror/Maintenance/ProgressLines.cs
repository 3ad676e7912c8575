namespace Mirror.Maintenance;

/// <summary>Writes a line every ten seconds until it is disposed, so that a person sees that a long command is at work.</summary>
/// <param name="line">What has been done so far. Called from another thread.</param>
public sealed class ProgressLines(TimeProvider time, TextWriter writer, Func<string> line) : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly ITimer _timer = time.CreateTimer(_ => writer.WriteLine($"so far: {line()}"), null, Interval, Interval);

    public ValueTask DisposeAsync() => _timer.DisposeAsync();
}
