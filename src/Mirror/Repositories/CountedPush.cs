namespace Mirror.Repositories;

/// <summary>
/// The bytes of one push, which <see cref="PushQuota"/> counts. They count no more when this is disposed without <see cref="Keep"/>: what
/// was to be pushed was not stored.
/// </summary>
public sealed class CountedPush : IDisposable
{
    private Action? _returns;

    /// <summary>Why the quota has no room, for the client; null where it has.</summary>
    public string? Refusal { get; private set; }

    /// <summary>It was stored.</summary>
    public void Keep() => _returns = null;

    public void Dispose()
    {
        _returns?.Invoke();
        _returns = null;
    }

    internal void OnReturn(Action act) => _returns += act;

    internal void Refuse(string why)
    {
        Dispose();
        Refusal = why;
    }
}
