namespace Mirror.Telemetry.Hooks;

/// <summary>What lines of the log are sent to.</summary>
internal interface IHookTarget : IDisposable
{
    /// <summary>The kind, as the label of the metric has it.</summary>
    string Name { get; }

    /// <exception cref="Exception">The line was not taken. Any exception may come.</exception>
    Task SendAsync(HookLine line, CancellationToken cancellationToken);
}
