namespace Mirror.Repositories;

/// <summary>
/// The bytes of one push, which <see cref="PushQuota"/> counts. They count no more when this is disposed without
/// <see cref="KeepAsync"/>: what was to be pushed was not stored.
/// </summary>
public sealed class CountedPush : IDisposable
{
    private Action? _returns;
    private Func<ValueTask>? _note;

    /// <summary>Why the quota has no room, for the client; null where it has.</summary>
    public string? Refusal { get; private set; }

    /// <summary>It was stored.</summary>
    /// <exception cref="IOException">The store takes no note of who pushed it; also as <see cref="UnauthorizedAccessException"/>.
    /// </exception>
    public async ValueTask KeepAsync()
    {
        _returns = null;
        if (_note is not null)
            await _note();
    }

    public void Dispose()
    {
        _returns?.Invoke();
        _returns = null;
    }

    internal void OnReturn(Action act) => _returns += act;

    internal void OnKeep(Func<ValueTask> note) => _note = note;

    internal void Refuse(string why)
    {
        Dispose();
        Refusal = why;
    }
}
