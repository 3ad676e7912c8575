namespace Mirror.Repositories;

/// <summary>Why a quota has no room for a push.</summary>
/// <param name="Message">What the client learns.</param>
/// <param name="Key">The setting that has the limit.</param>
public sealed record QuotaRefusal(string Message, string Key);

/// <summary>
/// The bytes of one push, which <see cref="PushQuota"/> counts. If this is disposed without <see cref="KeepAsync"/>, the push was not
/// stored, and its bytes count no more.
/// </summary>
public sealed class CountedPush : IDisposable
{
    private Action? _returns;
    private Func<ValueTask>? _note;

    /// <summary>Why the quota has no room; null if it has.</summary>
    public QuotaRefusal? Refusal { get; private set; }

    /// <summary>Notes that the push was stored: its bytes count from now on.</summary>
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

    internal void Refuse(string limit, string key)
    {
        Dispose();
        Refusal = new($"{limit} ({key}); delete images that are not needed", key);
    }
}
