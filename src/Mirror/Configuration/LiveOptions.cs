namespace Mirror.Configuration;

/// <summary>
/// The settings in force, for those settings that may change while the server runs: <see cref="Reading.LiveKeys"/> is their list. Code that
/// reads one of them asks <see cref="Current"/> each time, or again after <see cref="Changed"/>, and keeps no copy.
/// </summary>
public sealed class LiveOptions(MirrorOptions options)
{
    private MirrorOptions _current = options;

    /// <summary>Raised after <see cref="Current"/> was replaced, on the thread that replaced it.</summary>
    public event Action? Changed;

    /// <summary>The settings in force now.</summary>
    public MirrorOptions Current => Volatile.Read(ref _current);

    /// <summary>Puts other settings in force. They must have passed the checks of <see cref="MirrorConfiguration"/>.</summary>
    public void Replace(MirrorOptions options)
    {
        Volatile.Write(ref _current, options);
        Changed?.Invoke();
    }
}
